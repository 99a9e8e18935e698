"""What the server answers, to requests of all kinds."""

import base64
import http.client
import json
import signal
import socket
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from msseg.deploy import Predictor
from msseg.utils.display import blend_labels
from tests.test_deploy.onnx_file import CLASSES, PALETTE
from tests.test_serving.conftest import serving


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.fixture(scope='module')
def png(image):
    return cv2.imencode('.png', image)[1].tobytes()


@pytest.fixture(scope='module')
def predictor(served):
    return Predictor(served.log.parent / 'a.onnx')


def ask(served, path, body=None, method=None, **headers):
    """Returns status, headers and content of an answer; JSON is decoded."""
    connection = http.client.HTTPConnection('127.0.0.1', served.port, timeout=60)
    method = method or ('GET' if body is None else 'POST')
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.getheader('content-type') == 'application/json':
        content = json.loads(content)
    connection.close()
    return answer.status, answer.headers, content


def refused(served, path, body=None, method=None, **headers):
    """Returns status and the error of an answer, which is one line."""
    status, _, content = ask(served, path, body, method, **headers)
    assert list(content) == ['error'] and '\n' not in content['error']
    return status, content['error']


def unpacked(packed):
    return np.frombuffer(zlib.decompress(base64.b64decode(packed['zlib'])), packed['dtype'])


def test_areas_labels_and_probabilities_are_the_predictors(served, png, image, predictor):
    labels = predictor(image)
    status, _, found = ask(served, '/api/predict?arrays=true', png)
    assert (status, found['width'], found['height'], found['notes']) == (200, 32, 24, [])
    for index, each in enumerate(found['classes']):
        pixels = int((labels == index).sum())
        assert (each['index'], each['name'], each['pixels']) == (index, CLASSES[index], pixels)
        assert each['share'] == pixels / labels.size and each['colour'] == list(PALETTE[index])
    np.testing.assert_array_equal(unpacked(found['labels']).reshape(24, 32), labels)
    probabilities = predictor.probabilities(image)
    classes = unpacked(found['ranking']['classes']).reshape(2, 24, 32)
    values = unpacked(found['ranking']['probabilities']).reshape(2, 24, 32)
    np.testing.assert_array_equal(classes[0], probabilities.argmax(0))
    np.testing.assert_array_equal(classes[1], probabilities.argmin(0))
    expected = np.sort(probabilities, axis=0)[::-1]
    np.testing.assert_allclose(values / 255, expected, atol=0.5 / 255 + 1e-6)
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(found['image_jpeg']), np.uint8), 1)
    assert shown.shape == image.shape


def test_pictures_are_labels_and_overlay(served, png, image, predictor):
    labels = predictor(image)
    _, headers, content = ask(served, '/api/labels.png', png)
    assert headers['content-type'] == 'image/png'
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, labels)
    _, _, content = ask(served, '/api/overlay.png?opacity=0.25', png)
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, blend_labels(image, labels, PALETTE, 0.25))


def form(*parts):
    lines = [f'--B\r\nContent-Disposition: form-data; {head}\r\n\r\n'.encode() + body + b'\r\n'
             for head, body in parts]  # fmt: skip
    return b''.join(lines) + b'--B--\r\n', {'content_type': 'multipart/form-data; boundary=B'}


def test_a_form_with_a_file_is_taken_as_well(served, png):
    body, headers = form(('name="image"; filename="a.png"', png))
    _, _, plain = ask(served, '/api/predict', png)
    status, _, found = ask(served, '/api/predict', body, **headers)
    assert status == 200 and found['classes'] == plain['classes']


@pytest.mark.parametrize(
    'parts',
    [[], [('name="image"', b'text')], [('name="a"; filename="a"', b'x')] * 2],
    ids=['empty', 'text', 'two files'],
)
def test_a_form_without_one_file_is_refused(served, parts):
    body, headers = form(*parts)
    status, error = refused(served, '/api/predict', body, **headers)
    assert status == 400 and 'the form' in error and 'curl -F image=@FILE' in error


@pytest.mark.parametrize(
    ('path', 'body', 'status', 'words'),
    [
        (
            '/api/predict',
            b'hello',
            415,
            "no image of a known format (its first bytes are b'hello')",
        ),
        ('/api/predict', b'', 415, 'no image was sent'),
        ('/api/predict?opacity=1', b'', 422, "no parameter 'opacity'"),
        ('/api/overlay.png?opacity=0', b'', 422, 'opacity is'),
        ('/api/overlay.png?opacity=nan', b'', 422, 'opacity is'),
        ('/api/labels.png?x=1', b'', 422, "no parameter 'x'"),
        ('/api/nothing', b'', 404, '/api/predict'),
        ('/api/predict', None, 405, 'GET /api/predict'),
        ('/api/model', b'', 405, 'POST /api/model'),
    ],
)
def test_each_mistake_is_answered_with_json_of_one_line(served, path, body, status, words):
    found, error = refused(served, path, body)
    assert found == status and words in error


def test_a_damaged_image_is_named_as_such(served, png):
    status, error = refused(served, '/api/predict', png[:-20])
    assert status == 422 and 'truncated' in error
    status, error = refused(served, '/api/predict', png[:60] + bytes(200) + png[60:])
    assert status == 422 and 'damaged' in error


def test_a_large_image_is_refused_before_it_is_decoded(served):
    body = cv2.imencode('.png', np.zeros((5000, 5000), np.uint8))[1].tobytes()
    assert len(body) < 100_000
    # its pixels are no PNG's any more: who decodes it says that it is damaged
    body = body[:50] + bytes(len(body) - 70) + body[-20:]
    status, error = refused(served, '/api/predict', body)
    assert status == 413 and '5000x5000 pixels' in error and '--max-pixels' in error


@pytest.mark.parametrize('how', ['length', 'chunked'])
def test_a_large_request_is_refused_with_an_answer(served, how):
    size = 3_000_000
    body = bytes(size) if how == 'length' else iter([bytes(100_000)] * 30)
    status, error = refused(served, '/api/predict', body)
    assert status == 413 and 'the limit is 100000' in error and '--max-bytes' in error


@pytest.mark.parametrize(
    'host',
    ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '', '['],
)
def test_a_host_that_is_not_this_one_is_refused(served, host):
    status, error = refused(served, '/api/model', host=host)
    assert status == 421 and '--allowed-host' in error


@pytest.mark.parametrize('host', ['localhost:1', 'LOCALHOST', '[::1]:9', '127.0.0.1', '127.8.9.1'])
def test_names_of_this_machine_are_taken_with_any_port(served, host):
    assert ask(served, '/api/model', host=host)[0] == 200


@pytest.mark.parametrize(
    'headers',
    [
        {'origin': 'http://evil.example'},
        {'origin': 'null'},
        {'origin': 'http://127.0.0.1:1'},
        {'sec_fetch_site': 'cross-site'},
        {'sec_fetch_site': 'same-site'},
    ],
)
def test_pages_of_other_sites_are_refused(served, png, headers):
    status, error = refused(served, '/api/predict', png, **headers)
    assert status == 403 and 'may not use this server' in error
    assert refused(served, '/api/predict', method='OPTIONS', **headers)[0] == 403


def test_the_own_page_is_not_refused(served, png):
    headers = {'origin': served.address, 'sec_fetch_site': 'same-origin'}
    assert ask(served, '/api/predict', png, **headers)[0] == 200


def test_every_answer_forbids_other_hosts(served):
    for path in ('/', '/page.js', '/api/model', '/nothing'):
        _, headers, _ = ask(served, path)
        policy = headers['content-security-policy']
        assert "default-src 'none'" in policy and 'unsafe' not in policy and 'http' not in policy
        assert headers['x-content-type-options'] == 'nosniff'
    content = ask(served, '/')[2] + ask(served, '/page.js')[2] + ask(served, '/page.css')[2]
    assert b'http:' not in content and b'https:' not in content and b'src="//' not in content


def test_fifty_requests_at_a_time_lose_none(served):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (50, 24, 32, 3), np.uint8)
    predictor = Predictor(served.log.parent / 'a.onnx')
    together = threading.Barrier(50)

    def send(image):
        body = cv2.imencode('.png', image)[1].tobytes()
        together.wait()
        return ask(served, '/api/predict', body)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, images))
    for image, (status, _, found) in zip(images, answers, strict=True):
        counts = np.bincount(predictor(image).ravel(), minlength=2).tolist()
        assert status == 200 and [each['pixels'] for each in found['classes']] == counts


def test_the_schema_names_what_there_is(served):
    schema = ask(served, '/openapi.json')[2]
    assert {'/api/model', '/api/predict', '/api/labels.png', '/api/overlay.png'} == set(
        schema['paths']
    )
    assert ask(served, '/docs')[0] == 404  # its page would load scripts from elsewhere


SLOW = """
import time
import numpy as np
from msseg.serving.guard import Limits
from msseg.serving.server import serve
from msseg.utils.display import Display
from msseg.utils.image_loading import ImageLoading, LoadedImage

class Slow:
    name, classes, palette = 'slow', ['thing'], [(1, 2, 3)]
    loading, display = ImageLoading(), Display()
    def load(self, data):
        return LoadedImage(np.zeros((4, 5, 3), np.uint8), None)
    def rows(self, data):
        if data.endswith(b'bug'):
            raise ZeroDivisionError('a bug')
        print('begun', flush=True)
        time.sleep(1.5)
        yield slice(0, 4), np.zeros((4, 5), np.int32), None

serve(Slow(), Limits(10**6, 10**6, 100), host='0.0.0.0', port=0)
"""


def test_a_server_for_others_warns_survives_a_bug_and_ends_when_all_is_answered(tmp_path, png):
    with serving(tmp_path, '-c', SLOW) as served:
        assert 'warning: everyone who reaches 0.0.0.0 can use this model' in served.output
        assert socket.gethostname() in served.address
        assert ask(served, '/api/model', host='192.168.1.7:8000')[0] == 200
        assert ask(served, '/api/model', host=socket.gethostname())[0] == 200
        assert refused(served, '/api/model', host='evil.example')[0] == 421
        status, error = refused(served, '/api/predict', png + b'bug')
        assert status == 500 and 'ZeroDivisionError' in error
        until = time.monotonic() + 20
        while 'ZeroDivisionError: a bug' not in served.output and time.monotonic() < until:
            time.sleep(0.02)
        assert 'Traceback' in served.output
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(ask, served, '/api/predict', png) for _ in range(2)]
            while 'begun' not in served.output:
                time.sleep(0.02)
            time.sleep(0.3)  # the second one waits
            served.process.send_signal(signal.SIGINT)
            assert [each.result()[0] for each in answers] == [200, 200]
        assert served.process.wait(60) == 0
        assert 'ended, 2 images were labelled' in served.output


def test_an_address_that_is_taken_is_named_in_one_line(served):
    from msseg.serving.server import open_address

    with pytest.raises(OSError, match=f'--port {served.port}: cannot be opened .*--port 0'):
        open_address('127.0.0.1', served.port)
    with pytest.raises(OSError, match='--host 203.0.113.1'):  # of documentation alone
        open_address('203.0.113.1', 0)
