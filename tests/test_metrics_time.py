"Metrics of time and of the picture: each reacts to what it claims, and not to what it does not"
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
import cv2, numpy as np, pytest
from lipsync_kit import core
from lipsync_kit.faces.paste import lower_face, mouth_area
from lipsync_kit.core import Face
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.metrics.metric import METRICS, Value
from lipsync_kit.metrics import quality as picture
from lipsync_kit.metrics import temporal as time
from lipsync_kit.metrics.clip import View

PHOTO = Path(core.__file__).parent/"data"/"astronaut.jpg"
FPS = 25

@lru_cache
def photo():
    image = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    image = np.ascontiguousarray(image[:560, 200:760])
    return image, landmarks(image).points

@lru_cache
def drawn(n=26, fps=FPS, sway=6., shake=0., speech=0., wobble=0.):
    "(image, points) of a head that sways, rolls and nods, known to a part of a pixel"
    image, points = photo()
    rng, res = np.random.default_rng(1), []
    for i in range(n):
        t, p = i / fps, points.copy()
        by = sway * np.array([np.sin(2 * np.pi * .5 * t), .5 * np.sin(2 * np.pi * .7 * t)]) + shake * rng.normal(size=2)
        M = cv2.getRotationMatrix2D((280, 250), 2 * sway / 6 * np.sin(2 * np.pi * .4 * t), 1.)
        M[:, 2] += by
        p[:, :2] = p[:, :2] @ M[:, :2].T + M[:, 2]
        if speech: p[[14, 17, 84, 314, 152, 148, 377], 1] += speech * (1 + np.sin(2 * np.pi * 4 * t))
        if wobble: p[:, :2] += wobble * rng.normal(size=p[:, :2].shape)
        how = dict(flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        res.append((cv2.warpAffine(image, M, image.shape[1::-1], **how), p))
    return res

def paint(area, how):
    "A change of all pixels in an area of the face"
    def change(image, points, i):
        corners = np.rint(area(points)).astype(np.int32)
        mask = cv2.fillPoly(np.zeros(image.shape[:2], np.uint8), [corners], 1)[..., None] > 0
        return np.where(mask, np.clip(how(image.astype(np.float32), i), 0, 255), image).astype(np.uint8)
    return change

def everywhere(how): return lambda image, points, i: np.clip(how(image.astype(np.float32), i), 0, 255).astype(np.uint8)
def same(image, points, i): return image

def views(change=same, fps=FPS, twin=True, cut=None, **how):
    before = None
    for i, (image, points) in enumerate(drawn(fps=fps, **how)):
        view = View(i / fps, change(image, points, i), Face(points), cut=i == cut, before=None if i == cut else before)
        if twin: view.twin = View(i / fps, image, Face(points), before=view.before and view.before.twin)
        yield view
        view.before, before = None, view
        if twin: view.twin.before = None

def found(name, *change, **how)->Value:
    metric = METRICS[name]()
    for v in views(*change, **how): metric.see(v)
    return metric.value(None)

def box(points):
    (x0, y0) = points[[361, 397, 152, 172, 132, 205], :2].min(0) - [4, 0]
    (x1, y1) = points[[361, 397, 152, 172, 132, 205], :2].max(0) + 4
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])

dark = lambda x, i: x - 12
noise = everywhere(lambda x, i: x + np.random.default_rng(i).normal(0, 2, x.shape[:2] + (1,)))
exposure = everywhere(lambda x, i: x * (1 - .1 * (i % 2)))
soft_mouth = paint(mouth_area, lambda x, i: cv2.GaussianBlur(x, (0, 0), 3))
soft_face = everywhere(lambda x, i: cv2.GaussianBlur(x, (0, 0), 3))
background = lambda image, points, i: np.vstack([np.roll(image[:60], 40, 1), image[60:]])
def blotches(x, i): return x + 10 * np.random.default_rng(i).normal(0, 1, (70, 70)).repeat(8, 0).repeat(8, 1)[..., None]
swim = paint(lower_face, blotches)

def test_jitter_is_trembling():
    calm, trembling = found('jitter'), found('jitter', shake=.5)
    assert calm.value < .6 and trembling.value > 4 * calm.value
    assert calm.baselines['real'] == pytest.approx(calm.value)
    assert found('jitter', wobble=.5).value > 3 * calm.value

def test_jitter_leaves_speech_and_pictures_alone():
    assert found('jitter', speech=4.).value == found('jitter').value == found('jitter', noise).value

def test_jitter_is_that_of_40_ms_at_any_rate():
    def at(fps): return found('jitter', fps=fps, n=4 * fps, shake=.5, twin=False).value
    a, b, c = map(at, (25, 50, 30))
    assert b == pytest.approx(a, rel=.2) and c == pytest.approx(a, rel=.2)
    times = [i / 25 for i in range(9)]
    assert time.step_back(times, 4) == 3 and time.step_back([0, .01, .02], 2) == 0
    assert time.step_back([0, .1], 1) is None

def test_nothing_is_compared_across_a_cut():
    for name, gap in (('jitter', 2), ('flicker', 1)):
        series = found(name, cut=10, twin=False).series
        assert np.isnan(series[10:10 + gap]).all()
        assert np.isfinite(series[10 + gap:]).all() and np.isfinite(series[gap:10]).all()

def test_warp_error_is_what_motion_does_not_explain():
    plain = found('warp_error')
    assert plain.value < 2 and plain.baselines['real'] == pytest.approx(plain.value)
    assert found('warp_error', sway=18.).value < 2.5
    swimming = found('warp_error', swim)
    assert swimming.value > plain.value + 2 and swimming.baselines['real'] == pytest.approx(plain.value)

def test_flicker_is_that_of_the_lower_face():
    plain = found('flicker').value
    assert found('flicker', paint(lower_face, lambda x, i: x - 6 * (i % 2))).value == pytest.approx(6, abs=1)
    assert plain < .3 and found('flicker', exposure).value < plain + .5
    assert found('flicker', paint(mouth_area, lambda x, i: x - 60 * (i % 2))).value < plain + .3
    assert found('flicker', paint(lower_face, dark)).value < plain + .3   # another brightness, but always the same

def chattering(t, silence, speech=.1, audio=True, voices=((.5, 1.5), (2., 3.))):
    spoken = np.any([(t >= a) & (t < b) for a, b in voices], 0)
    noise = .001 * np.random.default_rng(0).normal(size=len(t))
    opening = .2 + np.where(spoken, speech, silence) * np.sin(2 * np.pi * 3 * t) + noise
    w = SimpleNamespace(audio='sound' if audio else None, spans=list(voices), times=t, cuts=[], opening=opening)
    return time.Chatter().value(w)

def test_chatter_is_movement_in_silence():
    t = np.arange(100) / FPS
    quiet, busy = chattering(t, 0.), chattering(t, .05)
    assert quiet.value < .05 and busy.value == pytest.approx(.5, abs=.08) and busy.low < busy.value < busy.high
    assert chattering(np.arange(200) / 50, .05).value == pytest.approx(busy.value, abs=.05)
    assert chattering(t, .05, speech=.05).value == pytest.approx(1, abs=.1)         # share of speech, not its size

def test_chatter_says_why_there_is_none():
    t = np.arange(100) / FPS
    silent = chattering(t, .05, audio=False)
    no_pause = chattering(t, .05, voices=[(.1, 3.9)])
    still = chattering(t, .05, voices=[(0., .5)], speech=0.)
    for v, why in ((silent, 'no sound'), (no_pause, 'no silence of 0.4 s'), (still, 'hardly moves')):
        assert v.value is None and why in v.note

def test_mouth_sharpness():
    assert found('mouth_sharpness').value == pytest.approx(1)
    assert found('mouth_sharpness', soft_mouth).value < .6
    for change in noise, background, exposure, paint(lower_face, dark):
        assert found('mouth_sharpness', change).value == pytest.approx(1, abs=.15)
    none = found('mouth_sharpness', twin=False)
    assert none.value is None and 'a reference' in none.note

def test_seam():
    plain = found('seam')
    stepped = found('seam', paint(lower_face, dark))
    assert stepped.value > plain.value + 4 and stepped.baselines['real'] == pytest.approx(plain.value)
    for change in noise, background, exposure, soft_mouth, everywhere(dark):
        assert found('seam', change).value == pytest.approx(plain.value, abs=1)

def test_box_edge():
    plain = found('box_edge', sway=0.)
    pasted = found('box_edge', paint(box, dark), sway=0.)
    assert pasted.value > plain.value + 5 and plain.value < 3
    for change in noise, background, exposure, soft_mouth:
        assert found('box_edge', change, sway=0.).value == pytest.approx(plain.value, abs=1.5)
    assert found('box_edge', paint(box, dark)).value > found('box_edge').value + 3

def test_outside():
    for change in same, paint(lower_face, dark), soft_mouth: assert found('outside', change).value == 0
    assert found('outside', background).value > 1
    assert found('outside', everywhere(lambda x, i: x - 3)).value == pytest.approx(3, abs=.2)

def test_blur():
    plain = found('blur')
    assert found('blur', soft_face).value > plain.value + .1
    assert found('blur', exposure).value == pytest.approx(plain.value, abs=.02)
    assert found('blur', soft_face).baselines['real'] == pytest.approx(plain.value)

def test_frames_without_a_face_are_left_out():
    image, points = photo()
    over_time = time.Jitter, time.WarpError, time.Flicker
    for kind in (*over_time, picture.MouthSharpness, picture.Seam, picture.BoxEdge, picture.Outside, picture.Blur):
        metric, before = kind(), None
        for i in range(26):
            face = Face(points) if i % 13 < 8 else None
            view = View(i / FPS, image, face, before=before, twin=View(i / FPS, image, face))
            metric.see(view)
            view.before, before = None, view
        assert np.isfinite(metric.value(None).value), kind.name
        empty = kind()
        for i in range(26): empty.see(View(i / FPS, image))
        assert empty.value(None).value is None and 'a face' in empty.value(None).note
