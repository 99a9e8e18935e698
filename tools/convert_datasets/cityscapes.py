"""Do what ``msseg convert-dataset cityscapes`` does."""

from msseg.commands.convert_datasets.cityscapes import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
