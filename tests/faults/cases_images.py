"""Images in every place but `segment`'s: frames, annotations and predictions of a data set."""

import re

from faults import damage
from faults.cases_system import EVALUATE, RECORDED
from faults.judge import Command

SCORE = f"{EVALUATE} --predictions predictions --out out"
COPY = f"{EVALUATE} --baseline copy --out out"
PREVIEW = "data preview --set videos=DAVIS:train --height 64 --width 96 --no-augmentation"
PLACES = {
    "a prediction": ("predictions/ant/00001.png", SCORE),
    "a first annotation": ("DAVIS/Annotations/480p/ant/00000.png", COPY),
    "an annotation": ("DAVIS/Annotations/480p/ant/00001.png", SCORE),
    "a frame": ("DAVIS/JPEGImages/480p/bee/00002.jpg", COPY),
    "a first frame": ("DAVIS/JPEGImages/480p/bee/00000.jpg", COPY),
}

CASES = [
    Command("evaluate: predictions are well", SCORE, status=0, says="J&F-Mean", leaves=("out/*",)),
    Command("evaluate: the first masks are well", COPY, status=0, says="J", leaves=("out/*",)),
    *[
        Command(
            f"evaluate: {place} {what}",
            line,
            spoil(path),
            re.escape(path.split("/")[-1]),
            leaves=RECORDED,
        )
        for place, (path, line) in PLACES.items()
        for what, spoil in damage.IMAGE_DAMAGE.items()
    ],
    *[
        Command(f"data preview: {name} of {value}", f"{PREVIEW} --{name}={value}", says=name)
        for name, values in {
            "batch-size": ("0", "-1", "1000000000", "a", "1.5"),
            "rows": ("0", "-1", "1000000000", "a"),
            "tile": ("0", "15", "-1", "1000000000"),
            "height": ("0", "-64", "1000000000", "63"),
            "width": ("0", "-64", "1000000000", "97"),
            "slots": ("0", "-1", "17", "1000000000"),
            "seed": ("-1", "1000000000000000000000", "a", "0.5"),
            "jitter": ("-1", "nan", "inf", "2"),
        }.items()
        for value in values
    ],
]
