"""MSRA10K: 10,000 images with one salient object, or group of objects, outlined."""

from data_pipelines.builders import static


class Builder(static.StaticBuilder):
    """DatasetBuilder of MSRA10K."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put MSRA10K_Imgs_GT.zip (https://mmcheng.net/msra10k/), or the folder it unpacks to, into
    manual_dir; without it the archive is fetched from the publisher.
    """
    DESCRIPTION = """
    MSRA10K (formerly THUS10000): 10,000 images of the MSRA set of Liu et al., with
    pixel-accurate masks of what people agree is salient. Masks are binary: id 1 is the salient
    object.
    """
    CITATION = """
    @article{cheng2015global,
      title   = {Global Contrast Based Salient Region Detection},
      author  = {Cheng, Ming-Ming and Mitra, Niloy J. and Huang, Xiaolei and Torr, Philip H. S. and
                 Hu, Shi-Min},
      journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
      volume  = {37}, number = {3}, pages = {569--582}, year = {2015}
    }
    """
    LICENSE = "No licence is stated; the authors offer the set for research and ask to be cited."
    HOMEPAGE = "https://mmcheng.net/msra10k/"
    IMAGES = r"(?P<root>(?:.*/)?)Imgs/(?P<stem>[^/]+)\.jpg"
    MASKS = ((r"(?P<root>(?:.*/)?)Imgs/(?P<stem>[^/]+)\.png", "binary"),)
    ARCHIVES = ("MSRA10K_Imgs_GT.zip",)
    URLS = ("http://mftp.mmcheng.net/Data/MSRA10K_Imgs_GT.zip",)
