import pytest

from ranet_jax.errors import InputError
from ranet_jax.io.davis_lists import parse_list, read_list

PAIR = "/JPEGImages/480p/{0}/00000.jpg /Annotations/480p/{0}/00000.png"


def test_names_and_pairs_list_the_same_videos():
    assert parse_list("bear\n\nswing\r\nbear\n", "l") == {"bear": [], "swing": []}
    videos = parse_list("\n".join(map(PAIR.format, ("swing", "bear", "bear"))), "l")
    assert list(videos) == ["swing", "bear"]
    assert videos["swing"] == [
        ("JPEGImages/480p/swing/00000.jpg", "Annotations/480p/swing/00000.png")
    ]
    assert len(videos["bear"]) == 2


@pytest.mark.parametrize(
    "line",
    [
        "..",
        ".",
        "../other",
        "a/../b",
        "a\\b",
        "/etc//passwd",
        PAIR.format(".."),
        "a/b.jpg ../c.png",
    ],
)
def test_names_that_leave_their_folder_are_refused(tmp_path, line):
    (tmp_path / "val.txt").write_text(f"bear\n{line}\n")
    with pytest.raises(InputError, match=r"val.txt lists .* no plain file name"):
        read_list(tmp_path / "val.txt")


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_list(tmp_path / "val.txt")
