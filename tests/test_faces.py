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

# A face on its side or on its head

from lipsync_kit.core import Audio
from lipsync_kit.faces.align import crop
from lipsync_kit.faces.turn import turned, turned_points
from lipsync_kit.media.write import Writer

QUARTERS = 1, 2, 3

def back(face, turn, image): return turned_points(face.points, -turn, turned(image, turn).shape[1::-1])

@pytest.mark.parametrize('name', ['photo_woman_474.png', 'statue.jpg', 'sunglasses_man.jpg', 'photo_gray.jpg', 'painting_pearl.jpg'])
def test_landmarks_of_turned_portraits(media, name):
    image = read_image(media/'portraits'/name).image
    upright = landmarks(image)
    for turn in QUARTERS:
        off = np.linalg.norm(back(landmarks(turned(image, turn)), turn, image) - upright.points, axis=1) / upright.iod
        assert np.median(off) < .03 and np.percentile(off, 95) < .08, (name, turn, np.median(off))

@pytest.mark.parametrize('turn', QUARTERS)
def test_mirror_images_are_turned_alike(astronaut, turn):
    f = landmarks(turned(astronaut[:, ::-1].copy(), turn))
    assert abs((f.pose[2] - {1: -90, 2: 180, 3: 90}[turn] + 180) % 360 - 180) < 8

def test_clear_pictures_are_searched_once(astronaut, monkeypatch):
    import lipsync_kit.faces.detect as d
    def never(*_): raise AssertionError('the picture was turned')
    monkeypatch.setattr(d, '_best_way_up', never)
    assert d.landmarks(astronaut) is not None

def crops(image, face):
    from lipsync_kit.models.latentsync import preprocess as latentsync
    from lipsync_kit.models.musetalk import pipeline as musetalk
    from lipsync_kit.models.wav2lip import pipeline as wav2lip
    M = latentsync.Aligner().matrix(latentsync.three_points(face.points))
    return (crop(image, wav2lip.to_crop(wav2lip.box_of(face)), 96), crop(image, musetalk.to_crop(musetalk.box_of(face)), 256),
            latentsync.aligned(image, M))

@pytest.mark.parametrize('turn', QUARTERS)
def test_crops_of_every_model_are_upright(astronaut, turn):
    x = turned(astronaut, turn)
    for a, b in zip(crops(astronaut, landmarks(astronaut)), crops(x, landmarks(x))):
        off = np.abs(cv2.GaussianBlur(a, (0, 0), 3).astype(float) - cv2.GaussianBlur(b, (0, 0), 3)).mean()
        assert off < 12, off   # grey levels: two pixels of 256 at most; a crop on its head differs by 50 to 60

def spoken(film, audio, turn):
    "Frames of a dub, turned upright"
    from lipsync_kit.pipe.run import lipsync
    return [turned(f.image, -turn).astype(float) for f in read_frames(lipsync(film, audio, idle=False, crf=8, mark='tag').path)]

@pytest.mark.parametrize('turn', QUARTERS)
def test_a_video_without_its_rotation_tag(media, tmp_path, turn):
    t = np.arange(16000) / 16000
    audio = Audio(.3 * np.sin(2 * np.pi * 140 * t) * (np.sin(2 * np.pi * 3 * t) > 0), 16000)
    frames = list(read_frames(media/'clips'/'news_german_anchor.mp4', end=1.))
    films = []
    for k in (0, turn):
        h, w = turned(frames[0].image, k).shape[:2]
        with Writer(tmp_path/f'{k}.mp4', w, h, 25, crf=4) as writer:
            for f in frames: writer.write(turned(f.image, k), f.time)
        films.append(spoken(tmp_path/f'{k}.mp4', audio, k))
    upright, lying = films
    change = np.mean([np.abs(a - f.image).mean() for a, f in zip(upright, frames)])
    apart = np.mean([np.abs(a - b).mean() for a, b in zip(upright, lying)])
    assert len(upright) == len(lying) and apart < 2, (apart, change)

# What is said about the faces

from lipsync_kit.pipe.options import make_options
from lipsync_kit.pipe.plan import glimpsed
from lipsync_kit.pipe.source import open_source

def said(path, **options): return ' '.join(open_source(path, make_options(**options)).warnings)

def test_a_dog_is_hardly_human(media): assert 'hardly a human face' in said(media/'portraits'/'dog.jpg')

def test_statues_paintings_and_cartoons_are(media):
    for p in json.loads((media/'manifest.json').read_text())['portraits']:
        if 'no-face' not in p['tags']: assert 'hardly' not in said(media/p['file']), p['name']

def test_which_of_how_many(media):
    group = media/'portraits'/'group_six.jpg'
    assert '6 faces, took the largest (number 2 from the left' in said(group)
    assert 'took' not in said(group, choose='all') + said(group, choose=3) + said(media/'portraits'/'photo_gray.jpg')

@pytest.fixture
def film_of(tmp_path):
    "Makes a video of one picture"
    def make(image, seconds=2):
        path = tmp_path/'still.mp4'
        with Writer(path, image.shape[1] // 2 * 2, image.shape[0] // 2 * 2, 25) as w:
            for i in range(25 * seconds): w.write(image[:image.shape[0] // 2 * 2, :image.shape[1] // 2 * 2], Fraction(i, 25))
        return path
    return make

@pytest.mark.parametrize('name, word', [('dog.jpg', 'hardly a human face'), ('group_six.jpg', '6 faces, took the largest')])
def test_the_same_in_videos_and_their_plan(media, film_of, name, word):
    path, tracked = film_of(read_image(media/'portraits'/name).image), FaceReport()
    for _ in track_faces(read_frames(path), report=tracked): pass
    options = make_options(policy='commercial')      # nobody looks for covered mouths
    _, planned = glimpsed(open_source(path, options, covers=False), options)
    for notes in (tracked.notes, planned): assert len(notes) == 1 and word in notes[0], notes
