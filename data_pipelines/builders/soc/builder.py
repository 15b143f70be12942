"""SOC: Salient Objects in Clutter, with instances."""

from data_pipelines.builders import static

_FOLDER = r"(?P<root>(?:.*/)?)(?P<split>TrainSet|ValSet|TestSet)/"


class Builder(static.StaticBuilder):
    """DatasetBuilder of SOC."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    SOC is offered through file-sharing services only (http://dpfan.net/SOCBenchmark/): put
    SOC6K_Release.zip, or the folder it unpacks to (with TrainSet and ValSet, each with Imgs, gt and
    the folder of instance masks), into manual_dir.
    """
    DESCRIPTION = """
    Salient Objects in Clutter: 6,000 images, half of them without any salient object, from
    more than 80 categories. Objects are numbered by their instance masks; where a
    image has none, id 1 is everything salient, and the mask is empty where nothing is.
    """
    CITATION = """
    @inproceedings{fan2018salient,
      title     = {Salient Objects in Clutter: Bringing Salient Object Detection to the Foreground},
      author    = {Fan, Deng-Ping and Cheng, Ming-Ming and Liu, Jiang-Jiang and Gao, Shang-Hua and
                   Hou, Qibin and Borji, Ali},
      booktitle = {European Conference on Computer Vision},
      pages     = {186--202}, year = {2018}
    }
    """
    LICENSE = "No licence is stated; the authors offer the set for research and ask to be cited."
    HOMEPAGE = "http://dpfan.net/SOCBenchmark/"
    IMAGES = _FOLDER + r"Imgs/(?P<stem>[^/]+)\.jpg"
    MASKS = (
        (_FOLDER + r"Instance[ _]?gt/(?P<stem>[^/]+)\.png", "instances"),
        (_FOLDER + r"gt/(?P<stem>[^/]+)\.png", "binary"),
    )
    SPLITS = {"train": "TrainSet", "val": "ValSet", "test": "TestSet"}
    ARCHIVES = ("SOC6K_Release.zip",)
