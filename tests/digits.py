"""scikit-learn's digits, 8 x 8 grey pictures of handwriting, as PNG files in the folders of their classes."""

from pathlib import Path


def write_digits(folder: Path, every: int = 1) -> int:
    """Write every so-manieth of the 1,797 digits as FOLDER/CLASS/NUMBER.png; how many."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = range(0, len(digits.images), every)
    for at in chosen:
        file = folder / str(digits.target[at]) / f"{at:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[at] * 15.9).astype("uint8")).save(file)
    return len(chosen)
