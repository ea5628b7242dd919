"Faces on real material: small ones, several, cuts and gaps."
import json
from fractions import Fraction
from itertools import islice
import cv2, numpy as np, pytest
from lipsync_kit.core import Frame, KitError, mouth_open
from lipsync_kit.faces.detect import detect_faces, landmarks
from lipsync_kit.faces.track import FaceReport, track_faces
from lipsync_kit.media.read import read_frames, read_image

def test_every_portrait_has_its_face(media):
    for p in json.loads((media/'manifest.json').read_text())['portraits']:
        if 'no-face' in p['tags'] or p['name'] == 'group_six': continue
        f = landmarks(read_image(media/p['file']).image)
        assert f is not None, p['name']
        assert abs(f.pose[1] - p['yaw_deg'][0]) < 8, (p['name'], f.pose)

def test_a_group_of_six(media): assert len(detect_faces(read_image(media/'portraits'/'group_six.jpg').image, None)) == 6

def test_forty_pixels_in_full_hd(media):
    face = read_image(media/'portraits'/'photo_woman_474.png').image
    x0, _, x1, _ = landmarks(face).box
    small = cv2.resize(face, None, fx=40/(x1 - x0), fy=40/(x1 - x0), interpolation=cv2.INTER_AREA)
    frame = np.full((1080, 1920, 3), 110, np.uint8)
    frame[700:700+small.shape[0], 1400:1400+small.shape[1]] = small
    found = detect_faces(frame)
    assert len(found) == 1 and 30 < found[0].box[2] - found[0].box[0] < 50

def test_tiny_face_in_a_clip(media):
    report = FaceReport()
    got = list(track_faces(read_frames(media/'clips'/'ted_small_face.mp4', end=1.), report=report))
    assert sum(bool(f) for _, f in got) >= .9 * len(got) and len(report.ids) == 1

def test_smoothing_keeps_the_mouth(media):
    frames = list(read_frames(media/'clips'/'expressive_woman.mp4', end=1.6))
    raw, smooth = ([mouth_open(f[0].points) for _, f in track_faces(frames, smooth=s)] for s in (False, True))
    assert np.corrcoef(raw, smooth)[0, 1] > .99 and .95 < np.polyfit(raw, smooth, 1)[0] < 1.05

def test_two_people_and_a_cut(media):
    a = list(read_frames(media/'clips'/'interview_two_faces.mp4', end=.4))
    b = list(read_frames(media/'clips'/'hdtf_aoc.mp4', end=.3))
    b = [Frame(cv2.resize(f.image, (720, 720)), f.time + a[-1].time + a[1].time) for f in b]
    b = [Frame(cv2.copyMakeBorder(f.image, 0, 0, 280, 280, cv2.BORDER_REPLICATE), f.time) for f in b]
    report = FaceReport()
    got = list(track_faces([*a, *b], choose='all', report=report))
    assert {len(f) for _, f in got[2:len(a)]} == {2} and len(report.cuts) == 1
    assert not {f.id for _, fs in got[:len(a)] for f in fs} & {f.id for _, fs in got[len(a):] for f in fs}

@pytest.fixture(scope='module')
def astronaut(): return pytest.importorskip('skimage.data').astronaut()

@pytest.mark.parametrize('name', ['painting_old_woman.png', 'man_turned_wide.png'])
def test_none_is_invented(media, name): assert len(detect_faces(read_image(media/'portraits'/name).image, None)) == 1

def test_a_person_across_the_room(media):
    clip = read_frames(media/'clips'/'dfdc_portrait_tiny_face.mp4')
    *_, frame = islice(clip, 21)   # turned away at first, where nothing is found
    assert len(detect_faces(frame.image)) == 1

def test_one_of_two_never_becomes_the_other(media):
    frames = islice(read_frames(media/'clips'/'debate_two_faces.mp4'), 80)
    xs = [f.points[:, 0].mean() for _, faces in track_faces(frames) for f in faces]
    assert len(xs) > 20 and np.ptp(xs) < 400

def test_gaps(astronaut):
    hidden = astronaut.copy()
    hidden[40:240, 140:300] = 120
    def film(a, b): return (Frame(hidden if a <= i < b else astronaut, Fraction(i, 25)) for i in range(20))
    seen = [[f.seen for f in x] for _, x in track_faces(film(6, 10))]
    assert seen == [[not 6 <= i < 10] for i in range(20)]
    report = FaceReport()
    n = [len(x) for _, x in track_faces(film(6, 10), max_gap=0., report=report)]
    assert n == [int(not 6 <= i < 10) for i in range(20)] and np.allclose(report.gaps, [(.24, .4)])
    with pytest.raises(KitError, match='no face at 0.24 s'): list(track_faces(film(6, 10), max_gap=0., policy='fail'))

def test_few_frames_are_held(astronaut):
    "A generator of frames is never more than the longest gap ahead"
    ahead, taken = [], 0
    def film():
        nonlocal taken
        for i in range(60):
            taken += 1
            yield Frame(np.zeros_like(astronaut) if 5 <= i < 40 else astronaut, Fraction(i, 25))
    for k, _ in enumerate(track_faces(film(), max_gap=.2)): ahead.append(taken - k - 1)
    assert max(ahead) <= 7
