"""Published results: Tables 1 to 6 of the RANet paper (Wang et al., ICCV 2019), in percent.

None stands for a cell that the paper leaves empty.
"""

from typing import NamedTuple


class Davis2016Val(NamedTuple):
    """A row of Table 1."""

    method: str
    online: bool
    milliseconds: float
    j_and_f: float | None
    j_mean: float
    j_recall: float | None = None
    j_decay: float | None = None
    f_mean: float | None = None
    f_recall: float | None = None
    f_decay: float | None = None


class Davis2016Trainval(NamedTuple):
    """A row of Table 2."""

    method: str
    j_mean: float
    j_recall: float
    j_decay: float


class Davis2017(NamedTuple):
    """A row of Table 3."""

    method: str
    online: bool
    val_j_and_f: float
    val_j_mean: float | None = None
    test_j_and_f: float | None = None
    test_j_mean: float | None = None


TABLE_1 = (
    Davis2016Val("OSVOS", True, 5000, 80.2, 79.8, 93.6, 14.9, 80.6, 92.6, 15.0),
    Davis2016Val("MaskTrack", True, 12000, 77.6, 79.7, 93.1, 8.9, 75.4, 87.1, 9.0),
    Davis2016Val("CINM", True, 70000, 84.2, 83.4, 94.9, 12.3, 85.0, 92.1, 14.7),
    Davis2016Val("OSVOS-S", True, 4500, 86.6, 85.6, 96.8, 5.5, 87.5, 95.9, 8.2),
    Davis2016Val("OnAVOS", True, 13000, 85.5, 86.1, 96.1, 5.2, 84.9, 89.7, 5.8),
    Davis2016Val("PReMVOS", True, 38000, 86.8, 84.9, 96.1, 8.8, 88.6, 94.7, 9.8),
    Davis2016Val("RANet+", True, 4000, 87.1, 86.6, 97.0, 7.4, 87.6, 96.1, 8.2),
    Davis2016Val("PLM", False, 500, 66.4, 70.2, 86.3, 11.2, 62.5, 73.2, 14.7),
    Davis2016Val("VPN", False, 630, 67.9, 70.2, 82.3, 12.4, 65.5, 69.0, 14.4),
    Davis2016Val("SiamMask", False, 28, 70.0, 71.7, 86.8, 3.0, 67.8, 79.8, 2.1),
    Davis2016Val("CTN", False, 30000, 71.4, 73.5, 87.4, 15.6, 69.3, 79.6, 12.9),
    Davis2016Val("OSMN", False, 130, 73.5, 74.0, 87.6, 9.0, 72.9, 84.0, 10.6),
    Davis2016Val("SFL", False, 7900, 76.1, 76.1, 90.6, 12.1, 76.0, 85.5, 10.4),
    Davis2016Val("PML", False, 280, 77.4, 75.5, 89.6, 8.5, 79.3, 93.4, 7.8),
    Davis2016Val("VideoMatch", False, 320, None, 81.0),
    Davis2016Val("FAVOS", False, 1800, 81.0, 82.4, 96.5, 4.5, 79.5, 89.4, 5.5),
    Davis2016Val("FEELVOS", False, 510, 81.7, 81.1, 90.5, 13.7, 82.2, 86.6, 14.1),
    Davis2016Val("RGMP", False, 130, 81.8, 81.5, 91.7, 10.9, 82.0, 90.8, 10.1),
    Davis2016Val("RANet", False, 33, 85.5, 85.5, 97.2, 6.2, 85.4, 94.9, 5.1),
)

TABLE_2 = (
    Davis2016Trainval("BVS", 66.5, 76.4, 26.0),
    Davis2016Trainval("OFL", 71.1, 80.0, 22.7),
    Davis2016Trainval("VPN", 75.0, 90.1, 9.3),
    Davis2016Trainval("CTN", 75.5, 89.0, 14.4),
    Davis2016Trainval("MaskTrack", 80.3, 93.5, 8.9),
    Davis2016Trainval("RANet", 83.2, 94.2, 9.3),
    Davis2016Trainval("RANet+OL", 86.2, 96.2, 7.6),
)

TABLE_3 = (
    Davis2017("CINM", True, 70.6, 67.2, 67.5, 64.5),
    Davis2017("OSVOS-S", True, 68.0, 64.7, 57.5, 52.9),
    Davis2017("OnAVOS", True, 65.4, 61.6, 52.8, 49.9),
    Davis2017("OSVOS", True, 60.3, 56.6, 50.9, 47.0),
    Davis2017("VideoMatch", True, 61.4),
    Davis2017("OSVOS", False, 36.6),
    Davis2017("OnAVOS", False, 39.5),
    Davis2017("FAVOS", False, 58.2, 54.6, 43.6, 42.9),
    Davis2017("OSMN", False, 54.8, 52.5, 41.3, 37.7),
    Davis2017("VideoMatch", False, 56.5),
    Davis2017("RANet", False, 65.7, 63.2, 55.3, 53.4),
)

# J mean on DAVIS-2016 val.
TABLE_4 = {"w/ RAM": 85.5, "w/o Ranking": 81.9, "Maximum": 81.1}
TABLE_5 = {
    "RGMP": {"origin": 81.5, "-CL": None, "-PM": 73.5, "-IP": 68.6, "-VF": 55.0},
    "RANet": {"origin": 85.5, "-CL": 67.5, "-PM": 81.4, "-IP": 73.2, "-VF": 79.9},
}

# (seconds a frame, J&F mean) on DAVIS-2016 val; the first without online learning.
TABLE_6 = ((0.033, 85.5), (0.30, 86.2), (1.00, 86.8), (1.50, 86.9), (4.00, 87.1))
