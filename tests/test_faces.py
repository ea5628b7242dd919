"Faces on real material: small ones, several, cuts and gaps."
import json
import cv2, numpy as np
from lipsync_kit.core import Frame, mouth_open
from lipsync_kit.faces.detect import detect_faces, landmarks
from lipsync_kit.faces.track import FaceReport, track_faces
from lipsync_kit.media import read_frames, read_image

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
    raw, calm = ([mouth_open(f[0].points) for _, f in track_faces(frames, smooth=s)] for s in (False, True))
    assert np.corrcoef(raw, calm)[0, 1] > .98 and .9 < np.polyfit(raw, calm, 1)[0] < 1.05

def test_two_people_and_a_cut(media):
    a = list(read_frames(media/'clips'/'interview_two_faces.mp4', end=.4))
    b = list(read_frames(media/'clips'/'hdtf_aoc.mp4', end=.3))
    b = [Frame(cv2.resize(f.image, (720, 720)), f.time + a[-1].time + a[1].time) for f in b]
    b = [Frame(cv2.copyMakeBorder(f.image, 0, 0, 280, 280, cv2.BORDER_REPLICATE), f.time) for f in b]
    report = FaceReport()
    got = list(track_faces([*a, *b], choose='all', report=report))
    assert {len(f) for _, f in got[2:len(a)]} == {2} and len(report.cuts) == 1
    assert not {f.id for _, fs in got[:len(a)] for f in fs} & {f.id for _, fs in got[len(a):] for f in fs}
