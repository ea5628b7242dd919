"Faces of real pictures and clips: found, not invented, and kept apart"
import os
from fractions import Fraction
from itertools import islice
from pathlib import Path
import cv2, numpy as np, pytest
from lipsync_kit.core import Frame, KitError, mouth_open
from lipsync_kit.faces.detect import detect_faces, landmarks
from lipsync_kit.faces.track import FaceReport, track_faces
from lipsync_kit.media import read_frames, read_image

MEDIA = Path(os.environ.get('LIPSYNC_MEDIA') or Path(__file__).parents[2]/'shared'/'media')
media = pytest.mark.skipif(not (MEDIA/'portraits').is_dir(), reason=f'no pictures in {MEDIA}; set LIPSYNC_MEDIA')
FACELESS = {'cutout_animal_alpha'}

def clip(name, n=None): return islice(read_frames(next((MEDIA/'clips').glob(name + '.*'))), n)
def picture(name): return read_image(next((MEDIA/'portraits').glob(name + '.*'))).image

@pytest.fixture(scope='module')
def astronaut():
    data = pytest.importorskip('skimage.data')
    return data.astronaut()

@media
def test_every_portrait_has_its_face():
    found = {p.stem: landmarks(read_image(p).image) is not None for p in (MEDIA/'portraits').iterdir()}
    assert {k for k, v in found.items() if not v} == FACELESS

@media
def test_six_of_six(): assert len(detect_faces(picture('group_six'), None)) == 6

@media
@pytest.mark.parametrize('name', ['painting_old_woman', 'man_turned_wide', 'photo_woman_474'])
def test_none_is_invented(name): assert len(detect_faces(picture(name), None)) == 1

@media
@pytest.mark.parametrize('name,yaw', [('near_profile', -42), ('painting_pearl', -34), ('photo_woman_624', 7)])
def test_yaw(name, yaw): assert abs(landmarks(picture(name)).pose[1] - yaw) < 6

@media
@pytest.mark.parametrize('name', ['ted_small_face', 'dfdc_portrait_tiny_face'])
def test_tiny_faces_of_clips(name):
    *_, frame = clip(name, 21)   # the second turns away in its first frame, where nothing is found
    assert len(detect_faces(frame.image)) == 1

@pytest.mark.parametrize('x,y', [(3, 5), (941, 500), (1860, 1010)])
def test_forty_pixels_in_1080p(astronaut, x, y):
    f = landmarks(astronaut)
    k = 40 / (f.box[2] - f.box[0])
    head = cv2.resize(astronaut[:260, 60:380], None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
    scene = np.full((1080, 1920, 3), 110, np.uint8)
    h, w = head.shape[:2]; x, y = min(x, 1920 - w), min(y, 1080 - h)
    scene[y:y+h, x:x+w] = head
    [got] = detect_faces(scene)
    assert np.abs(got.points[:, :2] - (f.points[:, :2] - [60, 0]) * k - [x, y]).mean() < 3

@media
def test_two_people_keep_their_numbers():
    report, where = FaceReport(), {}
    for _, faces in track_faces(clip('interview_two_faces', 60), 'all', report=report):
        for f in faces: where.setdefault(f.id, []).append(f.points[:, 0].mean())
    assert {i: len(x) for i, x in where.items()} == {0: 60, 1: 60} and not report.gaps
    assert all(np.ptp(x) < 120 for x in where.values())

@media
def test_one_of_two_never_becomes_the_other():
    xs = [f.points[:, 0].mean() for _, faces in track_faces(clip('debate_two_faces', 80)) for f in faces]
    assert len(xs) > 20 and np.ptp(xs) < 400

@media
def test_a_smoothed_mouth_is_not_late():
    raw, calm = ([mouth_open(f.points) for _, [f] in track_faces(clip('grid_bbaf2n'), smooth=s)] for s in (False, True))
    assert np.corrcoef(raw, calm)[0, 1] > .99 and .95 < np.polyfit(raw, calm, 1)[0] < 1.02

@media
def test_cut_ends_tracks():
    a, b = picture('photo_woman_624'), picture('statue')
    b = cv2.resize(b, (624, 624), interpolation=cv2.INTER_CUBIC)
    report = FaceReport()
    got = list(track_faces((Frame(x, Fraction(i, 25)) for i, x in enumerate([a]*4 + [b]*4)), report=report))
    assert report.cuts == [4/25] and [f[0].id for _, f in got] == [0]*4 + [1]*4

def test_gaps(astronaut):
    hidden = astronaut.copy(); hidden[40:240, 140:300] = 120
    film = lambda a, b: (Frame(hidden if a <= i < b else astronaut, Fraction(i, 25)) for i in range(20))
    seen = [[f.seen for f in x] for _, x in track_faces(film(6, 10))]
    assert seen == [[not 6 <= i < 10] for i in range(20)]
    report = FaceReport(); n = [len(x) for _, x in track_faces(film(6, 10), max_gap=0., report=report)]
    assert n == [int(not 6 <= i < 10) for i in range(20)] and np.allclose(report.gaps, [(.24, .4)])
    with pytest.raises(KitError, match='no face at 0.24 s'): list(track_faces(film(6, 10), max_gap=0., policy='fail'))

def test_frames_are_not_hoarded(astronaut):
    "A generator of frames is never more than the longest gap ahead"
    ahead, taken = [], 0
    def film():
        nonlocal taken
        for i in range(60): taken += 1; yield Frame(np.zeros_like(astronaut) if 5 <= i < 40 else astronaut, Fraction(i, 25))
    for k, _ in enumerate(track_faces(film(), max_gap=.2)): ahead.append(taken - k - 1)
    assert max(ahead) <= 7
