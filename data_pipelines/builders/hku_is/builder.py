"""HKU-IS: 4,447 images with several, or low-contrast, salient objects."""

from data_pipelines.builders import static


class Builder(static.StaticBuilder):
    """DatasetBuilder of HKU-IS."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    HKU-IS is offered through file-sharing services only
    (https://i.cs.hku.hk/~gbli/deep_saliency.html) and as a rar
    archive: unpack it and put the folder HKU-IS, with imgs and gt in it (or a zip archive of it
    named HKU-IS.zip), into manual_dir.
    """
    DESCRIPTION = """
    HKU-IS: 4,447 images chosen to be hard for saliency detection: several objects, objects at
    the border, low contrast. Masks are binary: id 1 is everything salient. All images form one
    split, as the paper uses them.
    """
    CITATION = """
    @inproceedings{li2015visual,
      title     = {Visual Saliency Based on Multiscale Deep Features},
      author    = {Li, Guanbin and Yu, Yizhou},
      booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
      pages     = {5455--5463}, year = {2015}
    }
    """
    LICENSE = "No licence is stated; the authors offer the set for research and ask to be cited."
    HOMEPAGE = "https://i.cs.hku.hk/~gbli/deep_saliency.html"
    IMAGES = r"(?P<root>(?:.*/)?)imgs/(?P<stem>[^/]+)\.(?:png|jpg)"
    MASKS = ((r"(?P<root>(?:.*/)?)gt/(?P<stem>[^/]+)\.png", "binary"),)
    ARCHIVES = ("HKU-IS.zip",)
