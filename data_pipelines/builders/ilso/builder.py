"""ILSO: instance-level salient objects."""

from data_pipelines.builders import static


class Builder(static.StaticBuilder):
    """DatasetBuilder of ILSO."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    ILSO is offered through file-sharing services only
    (http://hcp.sysu.edu.cn/instance-level-salient-object-segmentation): put its folder of
    images (imgs, img, images or image) and its folder of instance masks (gt, gts, masks, mask
    or instances), or a zip archive of both named ILSO.zip, into manual_dir.
    """
    DESCRIPTION = """
    The dataset of instance-level salient object segmentation: 1,000 images, most with several
    salient objects, each object outlined by itself. Ids number the objects of an image.
    """
    CITATION = """
    @inproceedings{li2017instance,
      title     = {Instance-Level Salient Object Segmentation},
      author    = {Li, Guanbin and Xie, Yuan and Lin, Liang and Yu, Yizhou},
      booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
      pages     = {247--256}, year = {2017}
    }
    """
    LICENSE = "No licence is stated; the authors offer the set for research and ask to be cited."
    HOMEPAGE = "http://hcp.sysu.edu.cn/instance-level-salient-object-segmentation"
    IMAGES = r"(?P<root>(?:.*/)?)(?:imgs?|images?)/(?P<stem>[^/]+)\.(?:jpg|jpeg)"
    MASKS = ((r"(?P<root>(?:.*/)?)(?:gts?|masks?|instances)/(?P<stem>[^/]+)\.png", "instances"),)
    ARCHIVES = ("ILSO.zip", "ILSO-1K.zip")
