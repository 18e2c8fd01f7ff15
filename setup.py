"""Where the packages lie; everything else stands in pyproject.toml.

Property files travel inside the wheel as recbole_store/properties, the pages on data sets as
recbole_store/dataset_pages.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
PROPERTY_FOLDERS = [
    path.relative_to(ROOT / "properties")
    for path in [ROOT / "properties", *(ROOT / "properties").rglob("*")]
    if path.is_dir()
]
PAGES = "recbole_store.dataset_pages"


def package_of(folder: Path) -> str:
    return ".".join(["recbole_store", "properties", *folder.parts])


setup(
    packages=find_packages(include=["recbole_store", "recbole_store.*"])
    + [package_of(folder) for folder in PROPERTY_FOLDERS]
    + [PAGES],
    package_dir={
        package_of(folder): (Path("properties") / folder).as_posix() for folder in PROPERTY_FOLDERS
    }
    | {PAGES: "dataset"},
    package_data={package_of(folder): ["*.yaml"] for folder in PROPERTY_FOLDERS}
    | {
        PAGES: ["*.md"],
        "recbole_store.experiments.report.page": ["page.html", "page.css"],
        "recbole_store.recommender.serving": ["page/page.*"],
    },
    py_modules=["run_recbole_store"],
)
