"""Prompts become file names that stay within their folder."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.pictures.file_names import PictureName, job_and_n, words_name

JOB_IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("otter", "otter"),
        ("Otter, (cowboy hat)++", "otter_cowboy_hat"),
        ("../../etc/passwd", "etc_passwd"),
        ("/", "other"),
        ("..", "other"),
        ("", "other"),
        ("🦦", "other"),
        ("a\x00b\nc", "a_b_c"),
        ("Ｏｔｔｅｒ", "otter"),
        ("カワウソ、帽子", "カワウソ_帽子"),
        ("Straße", "strasse"),
        ("CON", "con_"),
        ("lpt1", "lpt1_"),
        ("-rf", "rf"),
    ],
)
def test_a_prompt_becomes_a_name(words, name):
    assert words_name(words) == name


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_a_name_never_escapes_and_is_never_too_long(words):
    name = words_name(words)
    assert Path("/pictures", name).parent == Path("/pictures")
    assert name not in ("", ".", "..")
    assert not set(name) & set('/\\:*?"<>|-.\0')
    assert len(name.encode()) <= 101


@given(st.text(max_size=100), st.integers(0, 2**53 - 1), JOB_IDS, st.integers(0, 8))
def test_a_pictures_name_contains_its_job(prompt, seed, job, n):
    name = str(PictureName(datetime(2026, 11, 22, 20, 31, 37), prompt, seed, job, n))
    assert job_and_n(name) == (job, n)
    assert len(f"{name}.png".encode()) <= 255


@pytest.mark.parametrize("name", ["holiday", "20261122-203137-otter-7", "20261122-203137-otter-x-job-0"])
def test_other_files_belong_to_no_job(name):
    assert job_and_n(name) is None
