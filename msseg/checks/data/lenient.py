"""Data sets that note what is wrong with their files, where they would refuse the first of it."""

from __future__ import annotations

import copy
import os.path as osp
from collections.abc import Sequence
from typing import Any

from msseg.checks.data import listing as files
from msseg.checks.data.listing import Listing
from msseg.datasets import DATASETS, ConcatDataset, CustomDataset, RepeatDataset
from msseg.datasets.file_lists import as_suffixes


def make_lenient(cfg: Any) -> Any:
    """Return a data set's config whose data sets are lenient ones.

    Args:
        cfg: As `build_dataset` takes it: a config, or a list; wrappers included. Not changed.

    Raises:
        TypeError: A data set that is no `CustomDataset`, so that its files are unknown.
    """
    if isinstance(cfg, (list, tuple)):
        return [make_lenient(part) for part in cfg]
    if not isinstance(cfg, dict):
        return cfg
    kind = cfg.get('type')
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    changed = copy.copy(cfg)
    if cls is RepeatDataset:
        changed['dataset'] = make_lenient(cfg.get('dataset'))
    elif cls is ConcatDataset:
        changed['datasets'] = make_lenient(cfg.get('datasets'))
    elif isinstance(cls, type) and issubclass(cls, CustomDataset):
        changed['type'] = lenient_class(cls)
    elif cls is not None:
        raise TypeError(
            f'{kind} is no CustomDataset, so which files it has is unknown; derive it from '
            'CustomDataset to have them checked'
        )
    return changed


def lenient_class(cls: type[CustomDataset]) -> type[CustomDataset]:
    """Return a subclass of the same name that notes where `cls` would refuse."""
    return type(cls.__name__, (LenientMixin, cls), {'own': cls})


class LenientMixin:
    """Stands before a data set's class and lists its files by `listing` in place of it.

    Mistakes in arguments are errors as ever.

    Attributes:
        own: The data set's class.
        listing: Its files, and notes on them.
    """

    own: type[CustomDataset]

    def __init__(self, **kwargs: Any) -> None:
        self.listing = Listing()
        try:
            super().__init__(**kwargs)
        except (OSError, ValueError) as error:
            if 'img_infos' not in vars(self):
                raise
            # all is known by now: it is the files that the class refuses
            self.listing.note('refused', self.split or str(self.img_dir), str(error))
        if self.CLASSES is None:
            where = self.split or str(self.img_dir)
            self.listing.note('unknown_classes', where, 'give classes=[…], their names')

    def load_annotations(
        self,
        img_dir: str | None,
        img_suffix: str | Sequence[str],
        ann_dir: str | None,
        seg_map_suffix: str,
        split: str | None,
    ) -> list[dict]:
        suffixes = as_suffixes(img_suffix)
        is_list = split is not None and split.endswith('.lst')
        cannot_list = img_dir is None and not is_list
        lists_itself = self.own.load_annotations is not CustomDataset.load_annotations
        if lists_itself or cannot_list:
            try:
                self.listing.img_infos += super().load_annotations(
                    img_dir, img_suffix, ann_dir, seg_map_suffix, split
                )
            except (OSError, ValueError) as error:
                if cannot_list:
                    raise
                self.listing.note('refused', split or str(img_dir), str(error))
                lists_itself = False
        if not lists_itself:
            self._list(img_dir, suffixes, ann_dir and seg_map_suffix, split)
        if self.ann_dir is not None:
            files.note_labels(
                self.listing,
                self.img_dir or '',
                self.ann_dir,
                suffixes,
                seg_map_suffix,
                self.own.__name__,
                look_for_others=not is_list,
            )
        return self.listing.img_infos

    def _list(
        self,
        img_dir: str | None,
        suffixes: Sequence[str],
        seg_map_suffix: str | None,
        split: str | None,
    ) -> None:
        if split is None:
            files.list_folder(self.listing, img_dir, suffixes, seg_map_suffix, self.own.__name__)
        elif split.endswith('.lst'):
            root = self.data_root or osp.dirname(split)
            self.img_dir = root if self.img_dir is None else self.img_dir
            files.list_pairs(self.listing, split, self.img_dir, self.own.__name__)
            if self.ann_dir is None and any('ann' in i for i in self.listing.img_infos):
                self.ann_dir = root
        else:
            files.list_split(
                self.listing, split, img_dir, suffixes, seg_map_suffix, self.own.__name__
            )

    def check_labels(self) -> None:
        pass  # noted already
