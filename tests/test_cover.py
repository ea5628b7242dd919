"Covered mouths: drawn covers on real clips are left alone, clear mouths are not."
import sys
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.faces.cover import COVERED, CoverReport, cover_score, uncovered
from lipsync_kit.faces.detect import detect_faces
from lipsync_kit.faces.track import track_faces
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit import lipsync
from lipsync_kit.core import Audio, Frame
from lipsync_kit.media.planes import Planes
from lipsync_kit.media.write import Writer
from lipsync_kit.pipe.options import make_options
from lipsync_kit.pipe.prepare import covers_wanted

sys.path.insert(0, str(Path(__file__).parent.parent/'tools'))
from fit_cover import covered

CLIPS = 'news_german_anchor.mp4', 'actor_selfie.mp4', 'expressive_woman.mp4', 'grid_lbax4n.mpg'

@pytest.mark.parametrize('name', CLIPS)
def test_clear_mouths_are_drawn(media, name):
    report = CoverReport()
    for _ in uncovered(track_faces(read_frames(media/'clips'/name, end=3.)), report): pass
    assert not report.spans

@pytest.mark.parametrize('name', ['statue.jpg', 'sunglasses_man.jpg', 'photo_gray.jpg', 'cartoon_boy.jpg', 'near_profile.jpg'])
def test_clear_portraits_are_drawn(media, name):
    image = read_image(media/'portraits'/name).image
    assert cover_score(Frame(image, 0), detect_faces(image)[0].points) < COVERED

@pytest.mark.parametrize('kind', ['mask', 'hand', 'mic', 'paper', 'bar'])
def test_covers_fade_the_drawing(media, kind):
    frames = [(f, faces[0].points) for f, faces in track_faces(read_frames(media/'clips'/CLIPS[0], end=2.)) if faces]
    film = (f._replace(image=covered(f.image, p, kind, np.random.default_rng(3))[0]) if 1 <= f.time < 1.6 else f for f, p in frames)
    report = CoverReport()
    shown = {float(f.time): faces[0].shown for f, faces in uncovered(track_faces(film), report) if faces}
    assert len(report.spans) == 1 and abs(report.spans[0][0] - 1) < .09 and abs(report.spans[0][1] - 1.6) < .09, report.spans
    assert all(0 < v < 1 for t, v in shown.items() if .86 < t < .94) and all(v == 1 for t, v in shown.items() if t < .75)

def test_nobody_looks_where_it_may_not(monkeypatch):
    assert covers_wanted(make_options()) and not covers_wanted(make_options(policy='commercial'))
    assert not covers_wanted(make_options('wav2lip', preset='original'))
    monkeypatch.setenv('LIPSYNC_KIT_POLICY', 'commercial')
    assert not covers_wanted(make_options())

def test_a_covered_mouth_of_a_video_is_left_alone_in_planes_too(tmp_path):
    photo = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
    image = read_image(photo).image[:400, 20:420]
    points = detect_faces(image)[0].points
    hidden, _ = covered(image, points, 'bar', np.random.default_rng(3))
    with Writer(tmp_path/'a.mp4', 400, 400, 25, crf=4) as w:
        for i in range(40): w.write(hidden if 12 <= i < 28 else image)
    frames = list(read_frames(tmp_path/'a.mp4'))
    assert isinstance(frames[0].pixels, Planes)
    t = np.arange(int(1.6 * 16000)) / 16000
    voice = Audio((.3 * np.sin(2 * np.pi * 140 * t) * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.float32), 16000)
    r = lipsync(tmp_path/'a.mp4', voice, out=tmp_path/'b.mp4', crf=4, mark='tag')
    x, y = points[13, :2].astype(int)
    near = np.s_[y - 20:y + 20, x - 25:x + 25]
    change = [np.abs(a.image[near].astype(float) - b.image[near]).mean() for a, b in zip(frames, read_frames(r.path))]
    assert max(change[12:28]) < 2 < max(change[:7]) and any('the mouth seems covered from 0.' in n for n in r.warnings), change
