"""Do what ``msseg check-data`` does."""

from msseg.commands.check_dataset import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
