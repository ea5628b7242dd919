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

# in pictures and videos

from lipsync_kit.cli.main import run
from lipsync_kit.core import KitError
from lipsync_kit.faces.identity import embedder
from lipsync_kit.media.provenance import read_mark
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.media.write import Writer, write_image
from lipsync_kit.pipe.run import lipsync, process
from lipsync_kit.pipe.swap import swap

PHOTO = str(Path(__import__('lipsync_kit').__file__).parent/'data'/'astronaut.jpg')

@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_CONSENT_LOG', str(tmp_path/'consent.jsonl'))
    return tmp_path/'consent.jsonl'

@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    "A second of the portrait, swaying; in the middle the face is gone"
    path = tmp_path_factory.mktemp('clip')/'clip.mp4'
    with Writer(path, 320, 320, 25) as w:
        for i in range(25): w.write(np.full((320, 320, 3), 90, np.uint8) if 10 <= i < 18 else np.ascontiguousarray(np.roll(photo()[:320, 70:390], i, 1)))
    return path

def changed(a, b): return np.abs(a.astype(int) - b).max(-1) > 12

@pytest.mark.parametrize('kind', ['.png', '.jpg', '.webp'])
def test_a_picture(folder, log, tmp_path, kind):
    r = swap(PHOTO, PHOTO, tmp_path/f'a{kind}', consent=True, weights=str(folder), color_correction='none', device='cpu')
    before, after = read_image(PHOTO).image, read_image(r.path).image
    assert r.faces == 1 and changed(before, after)[100:180, 190:260].mean() > .5 and changed(before, after)[:20].mean() < .05
    assert 'inswapper_128' in {l.part for l in r.licences} and 'agreed' in read_mark(r.path)['comment']
    line, = map(json.loads, log.read_text().splitlines())
    assert line['out'] == str(r.path) and 'agreed' in line['statement'] and line['settings']['source']['puts'][0]['pictures'][0]['content']

def test_a_video(folder, log, clip, tmp_path):
    r = swap(PHOTO, clip, tmp_path/'a.mp4', consent=True, weights=str(folder), pixels=256, then='sharpen:where=face', device='cpu')
    before, after = list(read_frames(clip)), list(read_frames(r.path))
    assert [f.time for f in before] == [f.time for f in after] and r.gaps
    drawn = [changed(a.image, b.image).mean() for a, b in zip(before, after)]
    assert min(drawn[:9]) > .02 and max(drawn[11:17]) < .002
    mark = read_mark(r.path)
    assert 'swap' in mark['model'] and 'agreed' in mark['comment'] and 'agreed' in mark['consent']

@pytest.mark.parametrize('way', ['lab', 'histogram', 'poisson'])
def test_colours_at_the_border(folder, log, tmp_path, way):
    "A face that is cut off by the border of the picture"
    image = np.ascontiguousarray(photo()[95:300, 60:330])
    r = swap(PHOTO, image, tmp_path/'a.png', consent=True, weights=str(folder), color_correction=way, device='cpu')
    assert read_image(r.path).image.shape == image.shape

def test_only_the_person_in_the_reference(folder, log, media, tmp_path):
    if embedder() is None: pytest.skip('no face recognition network is installed')
    frame = next(read_frames(media/'clips'/'interview_two_faces.mp4')).image
    write_image(tmp_path/'right.png', frame[60:380, 740:1040])
    r = swap({str(tmp_path/'right.png'): PHOTO}, frame, tmp_path/'a.png', consent=True, weights=str(folder), color_correction='none', device='cpu')
    where = changed(frame, read_image(r.path).image)
    assert where[110:320, 790:980].mean() > .3 and not where[:, :700].any()
    r = process(frame, f'swap:source={tmp_path/"right.png"}>{PHOTO},consent=yes,weights={folder}', tmp_path/'b.png', choose='all', device='cpu')
    assert not changed(frame, read_image(r.path).image)[:, :700].any()

def test_the_same_in_a_chain(folder, log, tmp_path):
    "Behind talking, by a table's or a command's words"
    effect = f'swap:source={PHOTO},consent=yes,weights={folder}'
    r = lipsync(PHOTO, (np.zeros(4000, np.float32), 16000), out=tmp_path/'a.mp4', effects=[effect], size=256, device='cpu')
    assert 'agreed' in read_mark(r.path)['comment'] and len(log.read_text().splitlines()) == 1
    for words in dict(effects=[effect.replace('yes', 'no')]), dict(effects=[effect], mark=False):
        with pytest.raises(KitError, match='agreed|always marked'): lipsync(PHOTO, text='Hello', out=tmp_path/'b.mp4', **words)
    assert not (tmp_path/'b.mp4').exists()

def test_refused(folder, log, tmp_path, capsys):
    write_image(tmp_path/'wall.png', np.full((200, 200, 3), 128, np.uint8))
    cases = [(PHOTO, PHOTO, []), (tmp_path/'wall.png', PHOTO, ['--i-have-consent', '--weights', folder]), (PHOTO, tmp_path/'none.mp4', ['--i-have-consent', '--weights', folder]),
             (PHOTO, PHOTO, ['--i-have-consent', '--policy', 'commercial', '--weights', folder]), (PHOTO, PHOTO, ['--i-have-consent', '--weights', tmp_path])]
    for (source, target, flags), word in zip(cases, ['agreed', 'no face was found', 'there is no file', 'forbids inswapper_128', 'no swap network']):
        assert run(['swap', str(source), str(target), '-q', '-o', str(tmp_path/'out.png'), *map(str, flags)]) == 2
        assert word in (said := capsys.readouterr().err) and said.count('\n') == 1, said
        assert not (tmp_path/'out.png').exists()
    assert run(['swap', PHOTO, PHOTO, '-q', '-o', str(tmp_path/'out.png'), '--i-have-consent', '--weights', str(folder), '--pixels', '256', '--device', 'cpu']) == 0

def test_a_picture_without_a_face_passes(folder, log, tmp_path):
    wall = np.full((200, 200, 3), 128, np.uint8)
    r = swap(PHOTO, wall, tmp_path/'a.png', consent=True, weights=str(folder), device='cpu', mark='tag')
    assert r.faces == 0 and (read_image(r.path).image == wall).all()
