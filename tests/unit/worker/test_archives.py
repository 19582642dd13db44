"""Archives: what is packed comes back, and what a stranger packed cannot leave its folder."""

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from aether.errors import Refused
from aether.worker import pack, unpack

KINDS = ("tar", "tar.gz", "zip")


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def source_in(folder):
    source = folder / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "a.txt").write_text("a")
    (source / "deep" / "er" / "ü.bin").write_bytes(bytes(range(256)) * 5000)
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    return source


def refusal(archive, kind, target, **limits):
    with pytest.raises(Refused) as refused:
        unpack(archive, kind, target, **limits)
    assert refused.value.code == "artifact-archive"
    return str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_comes_back_as_it_was(kind, tmp_path):
    source = source_in(tmp_path)
    pack(source, kind, tmp_path / "packed")
    unpack(tmp_path / "packed", kind, tmp_path / "target")
    assert tree(tmp_path / "target") == tree(source)
    assert (tmp_path / "target" / "run.sh").stat().st_mode & 0o100
    assert not (tmp_path / "target" / "a.txt").stat().st_mode & 0o100


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_comes_back_under_its_name(kind, tmp_path):
    (tmp_path / "report").write_text("hello")
    pack(tmp_path / "report", kind, tmp_path / "packed")
    unpack(tmp_path / "packed", kind, tmp_path / "target")
    assert tree(tmp_path / "target") == {"report": b"hello"}


@pytest.mark.parametrize("kind", KINDS)
def test_equal_files_make_equal_bytes(kind, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        pack(source_in(tmp_path / name), kind, tmp_path / name / "packed")
    assert (tmp_path / "one/packed").read_bytes() == (tmp_path / "other/packed").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_links_are_not_packed(kind, tmp_path):
    source = source_in(tmp_path)
    (source / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="link"):
        pack(source, kind, tmp_path / "packed")


NAMES = ("../evil", "/tmp/evil", "a/../../evil", "..", "a\\..\\evil", "C:evil", "x/" * 80 + "evil")


@pytest.mark.parametrize("name", NAMES)
def test_a_tar_cannot_write_outside_its_folder(name, tmp_path):
    with tarfile.open(tmp_path / "packed", "w") as writer:
        member = tarfile.TarInfo(name)
        member.size = 4
        writer.addfile(member, io.BytesIO(b"evil"))
    refusal(tmp_path / "packed", "tar", tmp_path / "target")
    assert not [path for path in tmp_path.rglob("*evil*") if path.is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_a_zip_cannot_write_outside_its_folder(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "packed", "w") as writer:
        writer.writestr(zipfile.ZipInfo(name), b"evil")
    refusal(tmp_path / "packed", "zip", tmp_path / "target")
    assert not [path for path in tmp_path.rglob("*evil*") if path.is_file()]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "packed", "w") as writer:
        member = tarfile.TarInfo("door")
        member.type, member.linkname = kind, "/etc/passwd"
        writer.addfile(member)
    assert "link or a device" in refusal(tmp_path / "packed", "tar", tmp_path / "target")


def test_links_in_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "packed", "w") as writer:
        member = zipfile.ZipInfo("door")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        writer.writestr(member, "/etc/passwd")
    assert "link or a device" in refusal(tmp_path / "packed", "zip", tmp_path / "target")


@pytest.mark.parametrize("kind", KINDS)
def test_what_unpacks_to_too_much_is_stopped(kind, tmp_path):
    (tmp_path / "zeroes").write_bytes(bytes(3_000_000))
    pack(tmp_path / "zeroes", kind, tmp_path / "packed")
    said = refusal(tmp_path / "packed", kind, tmp_path / "target", most_bytes=1_000_000)
    assert "more than the limit" in said
    assert (tmp_path / "target" / "zeroes").stat().st_size <= 1_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_files_are_refused(kind, tmp_path):
    source = source_in(tmp_path)
    pack(source, kind, tmp_path / "packed")
    assert "more files" in refusal(tmp_path / "packed", kind, tmp_path / "target", most_files=3)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_names_that_meet_are_refused(names, tmp_path):
    with tarfile.open(tmp_path / "packed", "w") as writer:
        for name in names:
            writer.addfile(tarfile.TarInfo(name), io.BytesIO())
    refusal(tmp_path / "packed", "tar", tmp_path / "target")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100])
def test_what_is_no_archive_is_refused(kind, content, tmp_path):
    (tmp_path / "packed").write_bytes(content)
    refusal(tmp_path / "packed", kind, tmp_path / "target")


def test_a_damaged_archive_is_refused(tmp_path):
    source = source_in(tmp_path)
    for kind in ("tar.gz", "zip"):
        pack(source, kind, tmp_path / kind)
        whole = (tmp_path / kind).read_bytes()
        (tmp_path / kind).write_bytes(whole[: len(whole) // 2])
        refusal(tmp_path / kind, kind, tmp_path / f"target {kind}")


def test_a_gzip_of_something_else_is_refused(tmp_path):
    (tmp_path / "packed").write_bytes(gzip.compress(b"hello" * 1000))
    refusal(tmp_path / "packed", "tar.gz", tmp_path / "target")


def test_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "x").write_text("x")
    assert "rar" in refusal(tmp_path / "x", "rar", tmp_path / "target")
    with pytest.raises(Refused, match="rar"):
        pack(tmp_path / "x", "rar", tmp_path / "packed")
