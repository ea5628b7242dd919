"Age and gender by dlib's networks: what goes in and how the answer is read, and the published files where they are at hand."
import numpy as np, pytest
pytest.importorskip('onnx', reason='the package onnx is not installed')
from onnx_faces import node, save
from lipsync_kit.faces.detect import detect_faces
from lipsync_kit.faces.identity import MEANS, DlibAttributes, chip, dlib_places, dlib_points
from lipsync_kit.faces.onnx_faces import OnnxNetwork
from lipsync_kit.hub.cards import models_folder

def network(path, side:int, classes:int):
    "The mean of each channel, mixed into classes"
    w = np.random.default_rng(classes).normal(0, 4, (3, classes)).astype(np.float32)
    nodes = [node('GlobalAveragePool', ['images'], ['p']), node('Flatten', ['p'], ['f']), node('MatMul', ['f', 'w'], ['m']), node('Softmax', ['m'], ['probabilities'])]
    return OnnxNetwork(save(path, dict(images=['N', 3, side, side]), dict(probabilities=['N', classes]), nodes, dict(w=w)), 'cpu'), w

def softmax(x): return (e := np.exp(x - x.max())) / e.sum()

def test_what_goes_in(tmp_path):
    from skimage import data
    photo = data.astronaut()
    face, = detect_faces(photo, 1)
    (age, wa), (gender, wg) = network(tmp_path/'age.onnx', 64, 81), network(tmp_path/'gender.onnx', 32, 2)
    got = DlibAttributes(age, gender)(photo, face.points)
    def means(side): return ((chip(photo, dlib_points(face.points), dlib_places(side, .2), side) - MEANS) / 256).mean((0, 1))
    p, q = softmax(means(64) @ wa), softmax(means(32) @ wg)
    assert got.age == pytest.approx(p @ np.maximum(np.arange(81), .25), abs=.6) and got.gender == ('female', 'male')[int(q[1] > q[0])]

def test_published_files():
    folder = models_folder()/'age-gender'
    if not (folder/'gender-v1.onnx').is_file(): pytest.skip('age-gender is not on this machine: lipsync models download age-gender')
    from skimage import data
    photo = data.astronaut()
    guess = DlibAttributes(OnnxNetwork(folder/'age-v1.onnx', 'cpu'), OnnxNetwork(folder/'gender-v1.onnx', 'cpu'))(photo, detect_faces(photo, 1)[0].points)
    assert guess.gender == 'female' and 25 < guess.age < 45
