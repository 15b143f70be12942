"""ECSSD: 1,000 images of complex scenes with the salient object outlined."""

from data_pipelines.builders import static


class Builder(static.StaticBuilder):
    """DatasetBuilder of ECSSD."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put images.zip and ground_truth_mask.zip
    (https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html), or the folders images and
    ground_truth_mask they unpack to, into manual_dir; without them they are fetched from the
    publisher.
    """
    DESCRIPTION = """
    The Extended Complex Scene Saliency Dataset: 1,000 images, many of them structurally
    complex, with masks drawn by five people. Masks are binary: id 1 is the salient object.
    """
    CITATION = """
    @article{shi2016hierarchical,
      title   = {Hierarchical Image Saliency Detection on Extended {CSSD}},
      author  = {Shi, Jianping and Yan, Qiong and Xu, Li and Jia, Jiaya},
      journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
      volume  = {38}, number = {4}, pages = {717--729}, year = {2016}
    }
    """
    LICENSE = "No licence is stated; the authors offer the set for research and ask to be cited."
    HOMEPAGE = "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html"
    IMAGES = r"(?P<root>(?:.*/)?)images/(?P<stem>[^/]+)\.jpg"
    MASKS = ((r"(?P<root>(?:.*/)?)ground_truth_mask/(?P<stem>[^/]+)\.png", "binary"),)
    ARCHIVES = ("images.zip", "ground_truth_mask.zip")
    URLS = (
        "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/data/ECSSD/images.zip",
        "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/data/ECSSD/ground_truth_mask.zip",
    )
