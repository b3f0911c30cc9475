"""Damage small releases in hundreds of ways and read them: they load, or a `DatasetError` says why.

    python tests/datasets/fuzz.py 500 --seed 0

Runs under a limit of memory and of time per reading; prints what came of it as JSON, and ends with
status 1 at the first other exception, wrong content, unnamed file, or exceeded limit.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conftest import write_acdc_patient, write_camus_patient, write_mhd, write_task02  # noqa: E402

import datasets  # noqa: E402
from datasets import camus, nifti  # noqa: E402

MOST_BYTES = 2 << 30
MOST_S = 60
RARE = 0.04
"""Share of the damages that take long: bombs and claims that the file can back."""

Rng = np.random.Generator
Damage = Callable[[bytes, Rng], bytes]


def pick(rng: Rng, values):
    return values[int(rng.integers(len(values)))]


# Any file.


def flip(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(len(data), size=int(rng.integers(1, 9))):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data)))]


def splice(data: bytes, rng: Rng) -> bytes:
    start, stop = sorted(int(at) for at in rng.integers(len(data), size=2))
    return pick(rng, [data[:start] + data[stop:], data[:stop] + data[start:], data[start:]])


def replace(data: bytes, rng: Rng) -> bytes:
    return pick(rng, [
        b"", b"\0", rng.bytes(400), b"\xff" * 400, b"\x1f\x8b", b"\x1f\x8b\x08\0" + rng.bytes(60),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"<!DOCTYPE html><html>404</html>", b"\0\x05\x16\x07" + bytes(200), data + rng.bytes(100),
        data * 2, "ä".encode("utf-16") * 50,
    ])  # fmt: skip


# NIfTI: fields of the header by offset and format.

ODD_FLOATS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-45, 3e38, -3e38, 1e10)
ODD_SHORTS = (0, -1, 1, 2, 7, 32767, -32768)


def field(offset: int, form: str, values) -> Damage:
    def change(data: bytes, rng: Rng) -> bytes:
        plain = bytearray(data)
        struct.pack_into(f"<{form}", plain, offset, pick(rng, values))
        return bytes(plain)

    return change


def dims(data: bytes, rng: Rng) -> bytes:
    plain = bytearray(data)
    shape = [pick(rng, ODD_SHORTS[2:]) for _ in range(7)]
    struct.pack_into("<8h", plain, 40, pick(rng, [0, 1, 2, 3, 4, 5, 7, 8, -1, 32767]), *shape)
    return bytes(plain)


def ten_terabytes(data: bytes, rng: Rng) -> bytes:
    import nibabel

    header = nibabel.Nifti2Header()
    header.set_data_dtype(np.uint8)
    header["dim"] = [3, 10 << 20, 1 << 10, pick(rng, [1 << 10, 1 << 60, -1]), 1, 1, 1, 1]
    header["magic"], header["vox_offset"] = b"n+2\0\r\n\x1a\n", 544
    return header.binaryblock + bytes(4) + data[352:]


def other_order(data: bytes, rng: Rng) -> bytes:
    import nibabel

    header = nibabel.Nifti1Header(data[:348], check=False)
    return header.as_byteswapped(">").binaryblock + data[348:]


HEADER: tuple[Damage, ...] = (
    field(0, "i", [0, 348, 540, -1, 1543569408]),
    *(field(40 + 2 * axis, "h", ODD_SHORTS) for axis in range(5)),
    field(70, "h", [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 2304, 9999]),
    field(72, "h", [0, 1, 8, 16, 64, -1]),
    *(field(76 + 4 * axis, "f", ODD_FLOATS) for axis in range(5)),
    field(108, "f", [*ODD_FLOATS, 352.5, 347, 353, 400, 1e6, 2**26, 2**31]),
    *(field(at, "f", ODD_FLOATS) for at in (112, 116)),
    field(252, "h", ODD_SHORTS),
    field(254, "h", ODD_SHORTS),
    *(field(at, "f", ODD_FLOATS) for at in range(256, 328, 8)),
    field(344, "4s", [b"ni1\0", b"n+2\0", b"\0\0\0\0", b"n+1 ", b"n+9\0"]),
    field(348, "B", [1, 255]),
    dims, dims, ten_terabytes, other_order,
)  # fmt: skip


def bomb(data: bytes, rng: Rng) -> bytes:
    """Gzip members of zeros that unpack to 4 GiB, behind a header as it was or one that fits."""
    plain = bytearray(data[:352])
    if rng.integers(2):
        side, kind = pick(rng, [(512, 2), (512, 16), (512, 64), (1024, 2), (400, 64)])
        struct.pack_into("<8h", plain, 40, 3, side, side, side, 1, 1, 1, 1)
        struct.pack_into("<h", plain, 70, kind)
    return gzip.compress(bytes(plain)) + gzip.compress(bytes(1 << 24), 9) * 256


def damage_nifti(data: bytes, rng: Rng) -> bytes:
    kind = rng.random()
    if kind < RARE:
        return bomb(gzip.decompress(data), rng)
    if kind < 0.3:
        return pick(rng, [flip, cut, splice, replace])(data, rng)
    plain = gzip.decompress(data)
    for _ in range(int(rng.integers(1, 3))):
        plain = pick(rng, [*HEADER, flip, cut])(plain, rng) if len(plain) > 352 else plain
    return gzip.compress(plain, 1) if rng.integers(8) else plain


# Texts.

ODD_WORDS = (
    "", "0", "-1", "1", "2", "nan", "inf", "-inf", "1e999", "0x10", "9" * 30, "9" * 5000, "½", "٣",
    "\0", "None", "True", "../../../etc/passwd", "/dev/zero", "%d", "LIST", "LOCAL", ":" * 9,
    "1 1 1", "0 0 0", "1 2", "1e9 1e9 1e9", "4 4 4 4", "99999 99999 9", "-4 5 1", "MET_DOUBLE",
    "MET_COMPLEX", "patient001_4d.nii.gz",
)  # fmt: skip


def damage_lines(data: bytes, rng: Rng) -> bytes:
    if rng.random() < 0.4:
        return pick(rng, [flip, cut, splice, replace])(data, rng)
    lines = data.decode().splitlines()
    at = int(rng.integers(len(lines)))
    mark = pick(rng, [": ", " = ", ":", "=", " ", "\t", "：", ": : "])
    key, _, value = lines[at].partition(":" if ":" in lines[at] else "=")
    lines[at : at + 1] = pick(rng, [
        [], [lines[at]] * 2, [f"{key}{mark}{pick(rng, ODD_WORDS)}"], [f"{key}{mark}{value}"],
        [f"{pick(rng, ODD_WORDS)}{mark}{value}"], [lines[at], *["x" * 99] * 11000],
    ])  # fmt: skip
    return (
        pick(rng, ["\n", "\n", "\r\n", "\r"])
        .join(lines)
        .encode(pick(rng, ["utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    )


def damage_json(data: bytes, rng: Rng) -> bytes:
    if rng.random() < 0.3:
        return pick(rng, [flip, cut, splice, replace])(data, rng)
    content = json.loads(data)
    odd = pick(rng, [
        None, True, 3, -1.5, float("nan"), 10**400, "", "x", [], {}, [[]], "\ud800", "./imagesTr",
        "./imagesTr/../imagesTr/la_003.nii.gz", "/etc/passwd", "./imagesTr/la_999.nii.gz",
        "./labelsTr/la_003.nii", "./imagesTr/la_003.nii.gz\0", "./imagesTr/._la_003.nii.gz",
    ])  # fmt: skip
    match int(rng.integers(6)):
        case 0:
            content[pick(rng, list(content))] = odd
        case 1:
            content = odd
        case 2:
            content["training"][0] = odd
        case 3:
            content["training"][0][pick(rng, ["image", "label"])] = odd
        case 4:
            del content[pick(rng, list(content))]
        case 5:
            return data.replace(b"[", b"[" * int(rng.integers(2, 100_000)), 1)
    return json.dumps(content).encode()


# What is no file.


def no_file(path: Path, rng: Rng) -> None:
    path.unlink()
    match int(rng.integers(5)):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to("/dev/zero")
        case 3:
            path.symlink_to(path)
        case 4:
            with path.open("wb") as file:
                file.truncate(pick(rng, [1 << 29, (1 << 31) - 1, 1 << 43]))


def write_releases(root: Path) -> None:
    write_acdc_patient(root / "ACDC/training/patient001")
    write_acdc_patient(root / "ACDC/testing/patient101")
    write_camus_patient(root / "CAMUS_public/database_nifti/patient0001")
    lists = root / "CAMUS_public/database_split"
    lists.mkdir()
    for part, names in (("training", "patient0001\n"), ("validation", ""), ("testing", "")):
        (lists / f"subgroup_{part}.txt").write_text(names)
    for number, packed in ((1, False), (2, True)):
        folder = root / f"old/training/patient{number:04d}"
        for phase in ("ED", "ES"):
            stem = folder / f"{folder.name}_2CH_{phase}"
            array = np.arange(35, dtype=np.uint8).reshape(7, 5)
            write_mhd(stem.with_suffix(".mhd"), array, packed=packed)
            write_mhd(stem.with_name(f"{stem.name}_gt.mhd"), array % 4, packed=packed)
    task = write_task02(root / "Task02_Heart")
    pairs = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in ("la_003", "la_004")
    ]
    listing = {"name": "LeftAtrium", "labels": {"0": "background"}, "training": pairs, "test": []}
    (task / "dataset.json").write_text(json.dumps(listing))


def read_release(root: Path) -> None:
    """Read all there is of one release and check that it is what it should be."""
    name = {"ACDC": "acdc", "Task02_Heart": "decathlon"}.get(root.name, "camus")
    found = datasets.find(name, root)
    if found is None:
        raise datasets.DatasetError(f"{root} is not found at all.")
    work = [(case, datasets.info(name)) for case in datasets.read_cases(name, found.root)]
    assert work
    datasets.fingerprint(name, found.root, [case for case, _ in work])
    if root.name == "CAMUS_public":
        work += [(case, camus.SEQUENCE_INFO) for case in camus.read_half_sequences(found.root)]
    for case, info in work:
        image, mask = nifti.read_pair(case, info)
        assert image.array.shape == mask.array.shape
        assert image.array.ndim == info.dims == len(image.spacing_mm)
        assert (image.array.dtype, mask.array.dtype) == (np.float32, np.uint8)
        assert np.isfinite(image.array).all()
        assert np.isin(mask.array, [0, *info.classes.values()]).all()
        for volume in (image, mask):
            assert np.isfinite(volume.affine).all()
            assert np.isfinite(volume.spacing_mm).all()
            assert min(volume.spacing_mm) > 0


def attempt(root: Path, relative: Path, rng: Rng) -> str:
    """Damage one file, read its release, and restore it; what was said, or nothing."""
    path = root / relative
    sound = path.read_bytes()
    if rng.random() < RARE:
        no_file(path, rng)
    elif path.name.endswith(".nii.gz"):
        path.write_bytes(damage_nifti(sound, rng))
    elif path.suffix == ".json":
        path.write_bytes(damage_json(sound, rng))
    elif path.suffix in (".cfg", ".mhd", ".txt") and sound:
        path.write_bytes(damage_lines(sound, rng))
    elif sound:
        path.write_bytes(pick(rng, [flip, cut, splice, replace])(sound, rng))
    else:
        path.write_bytes(rng.bytes(40))
    try:
        read_release(root / relative.parts[0])
        return ""
    except datasets.DatasetError as error:
        said = str(error)
        # A text can send the reader to a file that is not there: that one is named, in its folder.
        named = path.name if path.suffix in (".gz", ".raw", ".zraw") else relative.parts[0]
        if path.suffix in (".raw", ".zraw"):
            named = path.stem
        assert named in said, f"{path} is not named in: {said}"
        assert len(said.encode()) < 1500, f"{path}: a message of {len(said)} characters"
        return said
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_bytes(sound)


class Hang(BaseException):
    """No `Exception`, least of all an `OSError` as `TimeoutError` is: no reader may catch it."""


def hang(signum: int, frame: object) -> None:
    raise Hang(f"reading took more than {MOST_S} s")


def peak_mib() -> int:
    """The most memory that this program held; `ru_maxrss` may be that of the process before it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of one damage, to look at it again")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    signal.signal(signal.SIGALRM, hang)
    longest, said = 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_releases(root)
        for release in root.iterdir():
            read_release(release)
        files = sorted(
            path.relative_to(root)
            for path in root.rglob("*")
            if path.is_file()
            and not path.name.startswith(("._", "MANDATORY"))
            and "_4d" not in path.name
        )
        numbers = range(arguments.count) if arguments.only is None else [arguments.only]
        for number in numbers:
            rng = np.random.default_rng([arguments.seed, number])
            # Kinds take turns, so that the few texts are damaged as often as the many images.
            kinds = sorted({path.suffix for path in files})
            kind = kinds[number % len(kinds)]
            relative = pick(rng, [path for path in files if path.suffix == kind])
            started = time.perf_counter()
            signal.alarm(MOST_S)
            try:
                said.append(attempt(root, relative, rng))
            except BaseException:
                sys.stderr.write(f"damage {number} of seed {arguments.seed}: {relative}\n")
                raise
            finally:
                signal.alarm(0)
            longest = max(longest, time.perf_counter() - started)
    peak = peak_mib()
    sys.stdout.write(json.dumps({
        "damages": len(said), "read": said.count(""), "refused": len(said) - said.count(""),
        "kinds_of_refusal": len({text[-40:] for text in said}),
        "peak_mib": peak, "longest_s": round(longest, 2),
    }) + "\n")  # fmt: skip
    return 0 if peak < MOST_BYTES >> 20 else 1


if __name__ == "__main__":
    sys.exit(main())
