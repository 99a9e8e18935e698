"""Do what ``msseg browse`` does."""

from msseg.commands.browse_dataset import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
