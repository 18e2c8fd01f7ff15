"""Make products.csv and purchases.csv, a shop that does not exist: ``python make.py [FOLDER]``.

300 products, of which ten are new and nobody has bought them yet, and 3,000 purchases of a year.
What follows what is in the texts: whoever buys a product goes on, mostly, with the next kind of its
category, and stays with a brand. So a model that reads titles can know what comes next, and where a
new product belongs; popularity knows little.
"""

from __future__ import annotations

import csv
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

SEED = 7
BRANDS = ("Arvika", "Bellwood", "Corriden", "Dunmore", "Elvarn", "Fernholt")
# Category: its kinds of products, in the order in which people buy them.
KINDS = {
    "camping": ("tent", "sleeping bag", "camping mat", "gas stove", "lantern"),
    "cycling": ("road bike", "cycling helmet", "bike pump", "bike lights", "bottle cage"),
    "baking": ("stand mixer", "cake tin", "rolling pin", "piping bag", "cooling rack"),
    "painting": ("easel", "canvas", "acrylic paints", "brush set", "palette knife"),
    "gardening": ("spade", "raised bed", "seed tray", "watering can", "pruning shears"),
    "swimming": ("swimsuit", "goggles", "swim cap", "kickboard", "dry bag"),
    "climbing": ("climbing shoes", "harness", "chalk bag", "carabiner set", "climbing rope"),
    "coffee": ("espresso machine", "coffee grinder", "milk jug", "tamper", "cup set"),
    "fishing": ("fishing rod", "reel", "tackle box", "landing net", "waders"),
    "sewing": ("sewing machine", "fabric shears", "thread set", "pin cushion", "dress form"),
}
N_NEW, N_PURCHASES = 10, 3000
FOLLOWS, STAYS = 0.75, 0.7  # shares: the next kind comes next; of the same brand
FIRST_DAY = datetime(2025, 1, 1, 8)


def products() -> list[dict]:
    """One of each category, kind and brand, in a random order."""
    rng = random.Random(SEED)
    found = [
        {
            "title": f"{brand} {kind}",
            "brand": brand,
            "category": category,
            "price": f"{rng.randint(5, 300) - 0.01:.2f}",
        }
        for category, kinds in KINDS.items()
        for kind in kinds
        for brand in BRANDS
    ]
    rng.shuffle(found)
    return [{"sku": f"P{n:04d}", **product} for n, product in enumerate(found, start=1)]


def purchases(shop: list[dict]) -> list[dict]:
    """By time; the last products of the shop are new, and in none."""
    rng = random.Random(SEED + 1)
    by_text = {product["title"]: product["sku"] for product in shop[:-N_NEW]}
    found, customer = [], 0
    while len(found) < N_PURCHASES:
        customer += 1
        time = FIRST_DAY + timedelta(minutes=rng.randrange(200 * 24 * 60))
        category, brand = rng.choice(list(KINDS)), rng.choice(BRANDS)
        place = rng.randrange(len(KINDS[category]))
        for _ in range(min(rng.randint(5, 11), N_PURCHASES - len(found))):
            title = f"{brand} {KINDS[category][place]}"
            while title not in by_text:  # new: of another brand
                brand = rng.choice(BRANDS)
                title = f"{brand} {KINDS[category][place]}"
            found.append((time, f"C{customer:03d}", by_text[title]))
            time += timedelta(minutes=rng.randint(30, 15 * 24 * 60))
            if rng.random() < FOLLOWS:
                place = (place + 1) % len(KINDS[category])
            else:
                category = rng.choice(list(KINDS))
                place = rng.randrange(len(KINDS[category]))
            if rng.random() >= STAYS:
                brand = rng.choice(BRANDS)
    names = ("ordered_at", "customer", "sku")
    return [
        dict(zip(names, (f"{row[0]:%Y-%m-%d %H:%M}", *row[1:]), strict=True))
        for row in sorted(found)
    ]


def write(path: Path, rows: list[dict]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    shop = products()
    write(folder / "products.csv", shop)
    write(folder / "purchases.csv", purchases(shop))
