"Swapping: InsightFace's own steps on a network of the same shapes with random weights, the effect in pictures and videos, and consent."
import contextlib, io, json
from pathlib import Path
import cv2, numpy as np, pytest
pytest.importorskip('onnx', reason='the package onnx is not installed')
from onnx_faces import buffalo, swapper as write_swapper
from lipsync_kit.effects.swapper import Swapper, official_swap
from lipsync_kit.faces.onnx_faces import OnnxNetwork, arc_points

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Networks of the published shapes, untrained"
    res = buffalo(tmp_path_factory.mktemp('networks'))
    write_swapper(res/'inswapper_128.onnx')
    return res

def photo():
    from skimage import data
    return data.astronaut()

# as InsightFace does it

def test_equal_to_insightface(folder):
    insightface = pytest.importorskip('insightface', reason='the package insightface is not installed')
    from insightface.app.common import Face
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = insightface.model_zoo.get_model(str(folder/'inswapper_128.onnx'), providers=['CPUExecutionProvider'])
    ours, rng = Swapper(OnnxNetwork(folder/'inswapper_128.onnx', 'cpu')), np.random.default_rng(0)
    np.testing.assert_array_equal(ours.emap, theirs.emap)
    for scale, at in (1, (0, 0)), (2.3, (10, -20)), (.6, (-40, 30)):
        image = cv2.resize(photo(), None, fx=scale, fy=scale)
        points = (np.array([[205, 114], [247, 113], [228, 140], [207, 153], [245, 152]]) * scale + at + rng.normal(0, 2, (5, 2))).astype(np.float32)
        vector = rng.normal(size=512).astype(np.float32)
        want = theirs.get(image[..., ::-1], Face(kps=points), Face(embedding=vector), paste_back=True)[..., ::-1]
        got = official_swap(image, points, ours, ours.identity(vector))
        assert np.abs(got.astype(int) - want).max() <= 1 and (got != want).mean() < 1e-3
        assert (np.abs(got.astype(int) - image) > 40).mean() > .01     # and something was drawn
