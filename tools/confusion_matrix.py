"""Do what ``msseg confusion`` does."""

from msseg.commands.confusion_matrix import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
