"""The addresses of the server, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as RoutingError

from msseg.serving.guard import Guard, Limits, RefusedError
from msseg.serving.labelling import (
    Backend,
    Labelled,
    NotAnImageError,
    TooManyPixelsError,
    describe_classes,
    label_image,
)
from msseg.utils.cli import one_line
from msseg.utils.shown import shorten, shown
from msseg.version import __version__

T = TypeVar('T')

_ASSETS = {'/': 'page.html', '/page.css': 'page.css', '/page.js': 'page.js'}
_TYPES = {'html': 'text/html', 'css': 'text/css', 'js': 'text/javascript'}
_CLIENT_GONE = 499
_MOST_CHARACTERS = 500  # of an error
_BODY = {
    'requestBody': {
        'required': True,
        'description': "the content of an image file, or a form with one file, curl's -F",
        'content': {
            'image/*': {'schema': {'type': 'string', 'format': 'binary'}},
            'multipart/form-data': {
                'schema': {
                    'type': 'object',
                    'properties': {'image': {'type': 'string', 'format': 'binary'}},
                }
            },
        },
    }
}


class _Options(BaseModel):
    model_config = ConfigDict(extra='forbid')


class SummaryOptions(_Options):
    """The parameters of ``/api/predict``."""

    arrays: bool = Field(False, description='add the image, the labels and the probabilities')


class OverlayOptions(_Options):
    """The parameters of ``/api/overlay.png``."""

    opacity: float = Field(0.5, gt=0, le=1, description='of the labels')


class Worker:
    """Labels one image after another, in a thread of its own.

    Args:
        backend: The model.
        max_pixels: See `Limits`.

    Attributes:
        num_labelled: How many images were labelled.
    """

    def __init__(self, backend: Backend, max_pixels: int) -> None:
        self.backend, self._max_pixels = backend, max_pixels
        self.num_labelled = 0
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, 'msseg-labelling')

    async def label(self, request: Request, finish: Callable[[Labelled], T]) -> T:
        """Return what `finish` makes of the labels of a request's image.

        Raises:
            RefusedError: The request has no image that can be labelled.
        """
        data = await _read_image(request)

        def work() -> T:
            return finish(label_image(self.backend, data, self._max_pixels))

        async with self._lock:
            if await request.is_disconnected():
                raise RefusedError(_CLIENT_GONE, 'the client has gone')
            loop = asyncio.get_running_loop()
            try:
                result = await loop.run_in_executor(self._thread, work)
            except NotAnImageError as error:
                raise RefusedError(415, one_line(error)) from None
            except TooManyPixelsError as error:
                raise RefusedError(413, one_line(error)) from None
            except MemoryError:
                problem = 'there is not enough memory for this image: send a smaller one'
                raise RefusedError(507, problem) from None
            except (ValueError, TypeError, ImportError) as error:
                raise RefusedError(422, one_line(error)) from None
        self.num_labelled += 1
        return result

    def close(self) -> None:
        """Wait for the image that is labelled, and forget the others."""
        self._thread.shutdown(wait=True, cancel_futures=True)


async def _read_image(request: Request) -> bytes:
    """Return the body, or the only file of a form."""
    kind = request.headers.get('content-type', '').partition(';')[0].strip().lower()
    if kind != 'multipart/form-data':
        return await request.body()
    try:
        async with request.form(max_files=1, max_fields=0) as form:
            found = [each for each in form.values() if isinstance(each, UploadFile)]
            if found:
                return await found[0].read()
    except RoutingError as error:  # starlette's, of a form's reader too
        problem = f'the form cannot be read ({error.detail})'
        raise RefusedError(400, f'{problem}: send one file, as curl -F image=@FILE does') from None
    raise RefusedError(400, 'the form has no file: send one, as curl -F image=@FILE does')


def create_app(
    worker: Worker, limits: Limits, names: Collection[str], any_address: bool = False
) -> Guard:
    """Return the server as an ASGI application.

    Args:
        worker: What labels images.
        limits: How much is taken.
        names: See `Guard`.
        any_address: See `Guard`.
    """
    app = FastAPI(title='msseg serve', version=__version__, docs_url=None, redoc_url=None)
    _add_errors(app)
    for path, name in _ASSETS.items():
        app.get(path, include_in_schema=False)(_asset(name))
    backend = worker.backend

    @app.get('/api/model', summary='the model, its classes and the limits')
    async def model() -> dict[str, Any]:
        return {
            'model': backend.name,
            'version': __version__,
            'classes': describe_classes(backend),
            'limits': {
                'bytes': limits.max_bytes,
                'pixels': limits.max_pixels,
                'images_per_minute': limits.rate,
            },
        }

    @app.post('/api/predict', summary='the area of each class', openapi_extra=_BODY)
    async def predict(
        request: Request, options: Annotated[SummaryOptions, Query()]
    ) -> JSONResponse:
        def finish(found: Labelled) -> dict[str, Any]:
            return found.summary() | (found.arrays() if options.arrays else {})

        return JSONResponse(await worker.label(request, finish))

    @app.post('/api/labels.png', summary='the labels as a grey PNG', openapi_extra=_BODY)
    async def labels(request: Request, options: Annotated[_Options, Query()]) -> Response:
        content = await worker.label(request, Labelled.labels_png)
        return Response(content, media_type='image/png')

    @app.post('/api/overlay.png', summary='the image under its labels', openapi_extra=_BODY)
    async def overlay(request: Request, options: Annotated[OverlayOptions, Query()]) -> Response:
        content = await worker.label(request, lambda found: found.overlay_png(options.opacity))
        return Response(content, media_type='image/png')

    return Guard(app, limits, names, any_address)


def _asset(name: str) -> Callable[[], Any]:
    content = (files('msseg.serving') / 'assets' / name).read_bytes()
    media_type = _TYPES[name.rpartition('.')[2]]

    async def asset() -> Response:
        return Response(content, media_type=f'{media_type}; charset=utf-8')

    return asset


def _add_errors(app: FastAPI) -> None:
    """Answer each error with JSON of one line, ``{"error": "…"}``."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = '.'.join(map(str, first['loc'][1:])) or 'the request'
        problem = f'{where} is {shown(first.get("input"))}: {first["msg"]}'
        if first['type'] == 'extra_forbidden':
            problem = f'there is no parameter {where!r}: /openapi.json lists them'
        return JSONResponse({'error': shorten(problem, _MOST_CHARACTERS)}, 422)

    @app.exception_handler(RoutingError)
    async def not_there(request: Request, error: RoutingError) -> JSONResponse:
        places = ', '.join(sorted(app.openapi()['paths']))
        problem = f'{request.method} {request.url.path}: {error.detail}; there are / and {places}'
        problem = shorten(problem, _MOST_CHARACTERS)
        return JSONResponse({'error': problem}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        problem = f'{type(error).__name__} in the server, whose terminal shows more'
        return JSONResponse({'error': problem}, 500)
