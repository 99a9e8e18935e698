"""Do what ``msseg convert-dataset drive`` does."""

from msseg.commands.convert_datasets.drive import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
