"""Do what ``msseg convert-dataset stare`` does."""

from msseg.commands.convert_datasets.stare import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
