"""Do what ``msseg convert-dataset chase_db1`` does."""

from msseg.commands.convert_datasets.chase_db1 import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
