"""Package metadata; property files travel inside the wheel as recbole_store/properties."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
PROPERTY_FOLDERS = [
    path.relative_to(ROOT / "properties")
    for path in [ROOT / "properties", *(ROOT / "properties").rglob("*")]
    if path.is_dir()
]


def package_of(folder: Path) -> str:
    return ".".join(["recbole_store", "properties", *folder.parts])


setup(
    name="recbole-store",
    version="0.1.0",
    description="STORE in RecBole: one LLM tokenizes items and recommends them",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11,<3.12",  # recbole's ray has no wheels for 3.12
    packages=find_packages(include=["recbole_store", "recbole_store.*"])
    + [package_of(folder) for folder in PROPERTY_FOLDERS],
    package_dir={
        package_of(folder): str(Path("properties") / folder) for folder in PROPERTY_FOLDERS
    },
    package_data={package_of(folder): ["*.yaml"] for folder in PROPERTY_FOLDERS}
    | {"recbole_store.experiments.report.page": ["page.html", "page.css"]},
    py_modules=["run_recbole_store"],
    entry_points={"console_scripts": ["recbole-store = run_recbole_store:main"]},
    install_requires=[
        "recbole==1.2.1",
        "torch>=2.6",
        "transformers>=5,<6",
        "peft",
        "accelerate",  # transformers needs both to read a GGUF file
        "gguf",
        "scikit-learn",
        "pandas>=2,<3",
        "numpy>=1.26,<2",
        "duckdb>=2,<3",  # groups and sorts more interactions than fit into memory
        "scipy<1.13",  # RecBole's LightGCN and its kin
        "setuptools<82",  # RecBole's ray needs pkg_resources
        "pyyaml",
        "jinja2",
        "tqdm",
    ],
    extras_require={"test": ["pytest", "hypothesis", "selenium"], "bench": ["matplotlib"]},
)
