"""Labels of images from an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from msseg.deploy.image_input import Image, ImageInput
from msseg.deploy.logits import labels_of, probabilities_of, resize_logits
from msseg.deploy.metadata import Metadata
from msseg.deploy.runners import open_file
from msseg.utils.errors import UserValueError
from msseg.utils.image_loading import LoadedImage, no_data_label


class Predictor:
    """Label images with a file of ``msseg export``, without its config and checkpoint.

    Args:
        path: A .mindir, .onnx or .ms file.
        device: See `msseg.utils.device_name.parse_device`.
        runtime: ``auto``, ``mindspore``, ``onnxruntime`` or ``lite``.

    Raises:
        FileNotFoundError, ImportError, ValueError: See `open_file`.

    With a file that was exported before::

        predictor = Predictor('demo.onnx')
        labels = predictor('image.jpg')
        first, second = predictor.predict(['first.jpg', 'second.jpg'])
        probabilities = predictor.probabilities('image.jpg')
    """

    def __init__(self, path: str | Path, device: str = 'auto', runtime: str = 'auto') -> None:
        self.path = Path(path)
        self._runner = open_file(path, runtime, device)
        self._input = ImageInput(self.metadata, str(path))

    @property
    def metadata(self) -> Metadata:
        """The file's description of its input, output and classes."""
        return self._runner.metadata

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.metadata.classes

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """RGB colours of the classes."""
        return self.metadata.palette

    def __call__(self, image: Image) -> np.ndarray:
        """Label an image.

        Args:
            image: The path of a file, its content, or an array as ``cv2.imread`` gives it: BGR,
                uint8 (h, w, 3).

        Returns:
            The class of each pixel, int32 (h, w), at the image's own size; 255 for a pixel without
            data (see `LoadImageFromFile`), with more than 255 classes 65535.

        Raises:
            FileNotFoundError: The file does not exist.
            TypeError: The image is neither a file nor such an array.
            ValueError: The image cannot be read, or the network does not take its size.
        """
        return self.predict([image])[0]

    def predict(self, images: Sequence[Image]) -> list[np.ndarray]:
        """Label several images, in batches of the file's batch size; see `__call__`."""
        return [self._labels(output, loaded) for output, loaded in self._outputs(images)]

    def load(self, image: Image) -> LoadedImage:
        """Return an image as it is before it is resized and normalised; see `__call__`."""
        return self._input.load_with_mask(image)

    def logits(self, image: Image) -> np.ndarray:
        """Return an image's logits, float32 (classes, h, w) at its own size; see `__call__`.

        Raises:
            ValueError: The file gives labels only.
        """
        if self.metadata.output.meaning != 'logits':
            advice = 'for logits or probabilities export without --argmax'
            raise UserValueError('gives labels only', file=str(self.path), advice=advice)
        ((output, loaded),) = self._outputs([image])
        return resize_logits(output, loaded.img.shape[:2], self.metadata.align_corners)

    def probabilities(self, image: Image) -> np.ndarray:
        """Return an image's class probabilities, float32 (classes, h, w) at its own size.

        A network with one output channel gives the probability of class 1, (1, h, w).

        Raises:
            ValueError: The file gives labels only.
        """
        return probabilities_of(self.logits(image))

    def _outputs(self, images: Sequence[Image]) -> list[tuple[np.ndarray, LoadedImage]]:
        """Return each image's output and the image."""
        results = []
        count = self.metadata.input.batch or 1
        for start in range(0, len(images), count):
            loaded = [self._input.load_with_mask(image) for image in images[start : start + count]]
            batch = [self._input.prepare(image.img) for image in loaded]
            batch.extend([batch[-1]] * (count - len(batch)))  # their outputs are not used
            outputs = self._runner(np.stack(batch))
            results.extend(zip(outputs, loaded, strict=False))
        return results

    def _labels(self, output: np.ndarray, loaded: LoadedImage) -> np.ndarray:
        size = loaded.img.shape[:2]
        if self.metadata.output.meaning == 'logits':
            logits = resize_logits(output, size, self.metadata.align_corners)
            labels = labels_of(logits, self.metadata.threshold)
        else:
            labels = output.astype(np.int32)
            if labels.shape != size:
                labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
        if loaded.no_data is not None:
            labels[loaded.no_data] = no_data_label(len(self.classes))
        return labels
