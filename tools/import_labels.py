"""Do what ``msseg import-labels`` does."""

from msseg.commands.import_labels import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
