"""Published answers to single images: the two formats, read and written."""

import gzip

import numpy as np
import pytest

from jclip.data.labels import label_space
from jclip.data.published import read_published, write_published

TRIALS = "subj,session,trial,rt,object_response,category,condition,imagename\n"


def write(path, text):
    path.write_text(text)
    return path


def test_predictions_are_read_in_any_order_of_columns(tmp_path):
    text = (
        "predicted_class,file_name,predicted_probability\n394,a.JPEG,0.55\n0,b.JPEG,1\n"
    )
    found = read_published(write(tmp_path / "resnet50.csv", text))
    assert (found.name, found.names) == ("resnet50", ("a.JPEG", "b.JPEG"))
    assert found.classes.tolist() == [394, 0]
    np.testing.assert_allclose(found.confidence, [0.55, 1.0])
    assert found.labels == label_space("imagenet-1k")


def test_what_is_written_is_read_and_names_lose_their_folders(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"n01440764/ILSVRC2012_val_{i:08d}.JPEG" for i in range(30)]
    classes, confidence = rng.integers(0, 1000, 30), rng.random(30, np.float32)
    write_published(tmp_path / "own.csv", names, classes, confidence)
    found = read_published(tmp_path / "own.csv")
    assert found.names == tuple(name.split("/")[1] for name in names)
    np.testing.assert_array_equal(found.classes, classes)
    np.testing.assert_array_equal(found.confidence, confidence)


def test_trials_are_read_by_the_image_and_not_by_the_trial(tmp_path):
    text = TRIALS + (
        "subject-01,1,1,1.1,bird,cat,0,0001_s5n_s01_0_cat_00_cat3-bird2.png\n"
        "subject-01,1,2,0.8,na,oven,0,0002_s5n_s01_0_oven_00_oven10-clock3.png\n"
    )
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    found = read_published(path)
    assert found.name == "subject-01" and read_published(path, "me").name == "me"
    assert found.names == ("cat3-bird2.png", "oven10-clock3.png")
    assert found.classes.tolist() == [found.labels.classes.index("bird"), -1]
    assert np.isnan(found.confidence).all()


def test_all_that_is_wrong_is_said_together(tmp_path):
    header = "file_name,predicted_class,predicted_probability\n"
    bad = write(tmp_path / "a.csv", f"{header}x,1000,0.5\ny,2.0,1.5\nz,3,nan\n")
    problem = (
        r"classes 1000, 2\.0, expected 0\.\.999; probabilities 1\.5, nan, expected"
    )
    with pytest.raises(ValueError, match=problem):
        read_published(bad)
    bad = write(
        tmp_path / "b.csv",
        f"{TRIALS}a,1,1,1,bird,cat,0,x_cat1.png\nb,1,1,1,cow,cat,0,x_cat1-dog2.png\n",
    )
    with pytest.raises(ValueError, match=r"answers of a, b.*answers cow.*1 names tell"):
        read_published(bad)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file,class\n", r"has the columns file, class; expected file_name, predicted"),
        ("file_name,predicted_class,predicted_probability\n", "has no rows"),
        (
            "file_name,predicted_class,predicted_probability\nx,1,1\nx,1,1\n",
            "1 images are answered more than once",
        ),
    ],
)
def test_other_files_are_refused(text, problem, tmp_path):
    with pytest.raises(ValueError, match=problem):
        read_published(write(tmp_path / "x.csv", text))


def test_files_that_are_missing_or_cut_off_are_said_to_be(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        read_published(tmp_path / "x.csv")
    whole = gzip.compress(b"file_name,predicted_class,predicted_probability\n" * 99)
    (tmp_path / "x.csv.gz").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match="is no whole gzip file"):
        read_published(tmp_path / "x.csv.gz")
