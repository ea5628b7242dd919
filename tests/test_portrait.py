"The portrait renderer on real pictures: all are drawn, nothing outside moves, and a tracker measures what was requested."
import json
from fractions import Fraction
import cv2, numpy as np, pytest
from skimage import data
from lipsync_kit.core import Face, mouth_open
from lipsync_kit.faces.detect import landmarks_near, landmarks
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.models.portrait.model import draw_moment, moments_around, mouth_view
from lipsync_kit.models.portrait.still import prepare
from lipsync_kit.models.portrait.turn import displacement
from lipsync_kit.models.portrait.views import Chooser, Library, Wanted
from lipsync_kit.motion.track import MotionTrack

LIPS = np.eye(6, dtype=np.float32)
MOUTHS = [(0 * LIPS[0], 0.), (LIPS[0], .1), (2.5 * LIPS[0], .25),
          (LIPS[0] - 2 * LIPS[1], .08), (LIPS[0] + 2 * LIPS[1], .08)]

def outside(still, turned=False):
    m = np.ones(still.image.shape[:2], bool)
    r = still.turn.rect if turned else still.grid
    m[r.y0:r.y1, r.x0:r.x1] = False
    return m

def portraits(media):
    every = json.loads((media/'manifest.json').read_text())['portraits']
    return [p for p in every if 'no-face' not in p['tags']]

def test_every_portrait_is_drawn(media):
    for p in portraits(media):
        image = read_image(media/p['file']).image
        k = min(1, 640 / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) if k < 1 else image
        face = landmarks(image)
        assert face is not None, p['name']
        still = prepare(image, face, gain=1.)
        for lips, gap in MOUTHS:
            for head in (0, 0, 0), (2, -3, 1):
                out = still.draw(lips, gap, blink=(.7, .7), head=head, gaze=(.08, .02))
                assert out.shape == image.shape and out.dtype == np.uint8
                assert not np.abs(out.astype(int) - image)[outside(still, any(head))].any(), p['name']
        assert bool(still.warnings) == (abs(face.pose[1]) > 40), (p['name'], face.pose)

def test_the_requested_opening_is_drawn(media):
    for name in ('photo_woman_474.png', 'photo_woman_624.jpg', 'cartoon_boy.jpg'):
        image = read_image(media/'portraits'/name).image
        face = landmarks(image)
        still = prepare(image, face)
        requested = np.array([0, .03, .06, .1, .14, .18, .22, .27])
        drawn = [still.draw(a / .1 * LIPS[0], a) for a in requested]
        seen = np.array([mouth_open(landmarks_near(x, face.points).points) for x in drawn])
        assert np.corrcoef(requested, seen)[0, 1] > .97, (name, seen)
        assert .85 < np.polyfit(requested, seen, 1)[0] < 1.15, (name, seen)

def test_a_turned_mouth_opens_as_far_as_requested(media):
    "Got over asked was .86 at 32 degrees while motion was damped there"
    image = read_image(media/'portraits'/'painting_pearl.jpg').image
    face = landmarks(image)
    still = prepare(image, face)
    requested = np.array([0, .05, .1, .15, .2, .25])
    seen = [mouth_open(landmarks_near(still.draw(a / .11 * LIPS[0], a), face.points).points) for a in requested]
    assert 25 < abs(face.pose[1]) < 40 and np.polyfit(requested, seen, 1)[0] > .9, seen

def astronaut(iod):
    a = data.astronaut()[:300, 80:380]
    k = iod / 42
    return cv2.resize(a, None, fx=k, fy=k, interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC)

@pytest.mark.parametrize('iod', [26, 84, 420])
def test_any_size(iod):
    image = astronaut(iod)
    still = prepare(image, landmarks(image), gain=1.)
    out = still.draw(2 * LIPS[0], .2)
    assert np.abs(out.astype(int) - image).max() > 40 and not np.abs(out.astype(int) - image)[outside(still)].any()

def test_the_head_turns_as_far_as_requested(media):
    "A tracker sees the degrees that were asked for, and what is far from the head stands still"
    for name in ('photo_woman_474.png', 'photo_woman_624.jpg'):
        image = read_image(media/'portraits'/name).image
        face = landmarks(image)
        still = prepare(image, face, gain=1.)
        for axis in (0, 1, 2):
            asked = np.array([-6, 6])
            views = [still.draw(0 * LIPS[0], 0., head=a * np.eye(3)[axis]) for a in asked]
            seen = [landmarks_near(x, face.points).pose[axis] - face.pose[axis] for x in views]
            assert .6 < (seen[1] - seen[0]) / 12 < 1.25, (name, axis, seen)
        assert np.abs(views[0].astype(int) - image)[:4, :4].max() == 0

def test_a_gaze_moves_the_irises():
    image = astronaut(84)
    face = landmarks(image)
    still = prepare(image, face, gain=1.)
    def iris(x):
        p = landmarks_near(x, face.points).points
        return np.mean([((p[c] - p[a])[:2] @ (p[b] - p[a])[:2]) / np.sum((p[b] - p[a])[:2]**2)
                        for a, b, c in ((33, 133, 468), (362, 263, 473))])
    left, right = (iris(still.draw(0 * LIPS[0], 0., gaze=(x, 0))) for x in (-.11, .11))
    assert .06 < right - left < .3, (left, right)

def test_grey_stays_grey():
    image = np.repeat(astronaut(84).mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    out = prepare(image, landmarks(image), gain=1.).draw(2 * LIPS[0], .2, blink=(1, 1)).astype(int)
    assert np.ptp(out, axis=-1).max() <= 12

def test_closed_lips_meet_and_frames_repeat():
    image = astronaut(84)
    face = landmarks(image)
    still = prepare(image, face)
    shut = still.draw(0 * LIPS[0], 0.)
    assert mouth_open(landmarks_near(shut, face.points).points) < .04
    first, second = (still.draw(LIPS[0], .1, blink=(.5, .5), head=(1, 2, 1)) for _ in range(2))
    assert (first == second).all()

def test_a_slow_track_moves_slowly():
    "Small steps of the track are small steps of the picture: no part of it jumps"
    image = astronaut(84)
    still = prepare(image, landmarks(image), gain=1.)
    frames = [still.draw(a / .1 * LIPS[0], a).astype(int) for a in np.linspace(0, .25, 26)]
    steps = [np.abs(b - a).mean() for a, b in zip(frames, frames[1:])]
    assert max(steps) < 4 * np.median(steps), steps

def test_a_turned_face_warns():
    image = astronaut(84)
    face = landmarks(image)
    assert 'turned by 48' in prepare(image, Face(face.points, (0, 48, 0)), gain=1.).warnings[0]

def test_a_closed_mouth_leaves_the_eyes_alone():
    image = astronaut(84)
    face = landmarks(image)
    out = prepare(image, face, gain=1.).draw(0 * LIPS[0], 0.)
    assert (out == image)[:int(face.points[[33, 263], 1].mean())].all()

def test_bite_and_press_are_seen():
    image = astronaut(84)
    still = prepare(image, landmarks(image), gain=1.)
    rest = still.draw(0 * LIPS[0], 0.).astype(int)
    assert np.abs(still.draw(0 * LIPS[0], 0., bite=1.) - rest).max() > 20
    assert np.abs(still.draw(0 * LIPS[0], 0., press=1.) - rest).max() > 5

def test_closed_eyes_change_nothing_else():
    image = astronaut(84)
    face = landmarks(image)
    still = prepare(image, face, gain=1.)
    rest, shut = (still.draw(LIPS[0], .1, blink=(b, b)).astype(int) for b in (0, 1))
    changed = np.abs(shut - rest).max(-1) > 0
    brow, nose = face.points[[70, 300], 1].min(), face.points[4, 1]
    assert changed.any() and not changed[:int(brow) - 20].any() and not changed[int(nose):].any()

def lightness(x): return cv2.cvtColor(np.float32(x) / 255, cv2.COLOR_RGB2Lab)[..., 0]

def test_shut_lids_are_as_light_as_real_ones(media):
    "Lids minus cheek: -16 on real blinks, -25 when lids were flat patches"
    found = []
    for p in portraits(media):
        image = read_image(media/p['file']).image
        k = min(1, 640 / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) if k < 1 else image
        face = landmarks(image)
        still = prepare(image, face, gain=1.)
        if None in still.lids: continue
        light = lightness(still.draw(0 * LIPS[0], 0., blink=(1, 1)))
        x0, y0 = still.grid.x0, still.grid.y0
        for lid, cheek in zip(still.lids, ((50, 101, 36), (280, 330, 266))):
            e, r = lid.places, lid.rect
            t = (e.y - e.up + .09 * e.iod) / (e.low - .15 * (e.low - e.up) - e.up + .09 * e.iod)
            middle = (e.u > .3) & (e.u < .7) & (t > .05) & (t < .85)
            skin = [light[int(y), int(x)] for x, y in face.points[list(cheek), :2]]
            found.append(light[y0 + r.y0:y0 + r.y1, x0 + r.x0:x0 + r.x1][middle].mean() - np.median(skin))
    assert len(found) > 20 and -17 < np.median(found) < 0, found

def test_teeth_are_no_slab(media):
    "Of the inside of a mouth open by a tenth, a fifth is brighter than three quarters of the cheek in real clips"
    shares = []
    for name in ('photo_woman_474.png', 'photo_woman_624.jpg', 'photo_woman_256.png'):
        image = read_image(media/'portraits'/name).image
        face = landmarks(image)
        still = prepare(image, face, gain=1.)
        out = still.draw(LIPS[0], .1).mean(-1)
        up, low = still._contours(still._coefficients(LIPS[0], .1, None, 0, 0))
        area = np.zeros(out.shape, np.uint8)
        poly = np.concatenate([up, low[::-1]]) + [still.grid.x0, still.grid.y0]
        cv2.fillPoly(area, [np.rint(poly).astype(np.int32)], 1)
        cheek = np.median([out[int(y), int(x)] for x, y in face.points[[50, 280, 101, 330, 205, 425], :2]])
        shares.append((out[area > 0] > .75 * cheek).mean())
    assert .02 < np.mean(shares) < .4, shares

def test_a_smile_rounds_for_oo(media):
    "The smile stayed: 'oo' was .79 wide on a photo that smiles; faces that don't smile say it at .70"
    image = read_image(media/'portraits'/'photo_gray.jpg').image
    image = cv2.resize(image, (640, round(640 * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)
    face = landmarks(image)
    still = prepare(image, face, gain=1.)
    p = landmarks_near(still.draw(.6 * LIPS[0] - 1.8 * LIPS[1], .07), face.points).points
    assert still.geometry.smile > 1 and np.linalg.norm(p[308] - p[78]) / still.geometry.iod < .76

def test_lines_of_the_background_hold_still():
    "A door frame beside the head moved by a twentieth of the distance of the eyes and more while the head turned"
    image = np.full((500, 500, 3), 120, np.uint8)
    image[100:400, 100:400] = astronaut(42)[:300, :300]
    (x, y), iod = landmarks(image).points[168, :2], landmarks(image).iod
    column = round(x - 1.9 * iod)                               # beside the hair
    image[int(y - 1.6 * iod):int(y + iod), :column] = 20
    turn = prepare(image, landmarks(image), gain=1.).turn
    at = np.abs(turn.places[0, :, 0] + turn.rect.x0 - column).argmin()
    rows = np.abs(turn.places[:, 0, 1] + turn.rect.y0 - y) < .8 * iod
    moved = [np.abs(displacement(turn, 8 * v)[rows, at, 0]).mean() / iod for v in np.eye(3)]
    assert max(moved) < .03, moved

def moving(openings, fps=25):
    o = np.float32(openings)
    return MotionTrack(Fraction(fps), np.outer(o / .11, LIPS[0]).astype(np.float32), np.zeros((len(o), 52), np.float32), o)

def test_only_fast_lips_are_blurred():
    image = astronaut(84)
    still = prepare(image, landmarks(image), gain=1.)
    slow, fast = moving([.10, .11, .12]), moving([0, .12, .24])
    sharp, same = (draw_moment(still, slow.at(1 / 25), around) for around in ((), moments_around(slow, 1 / 25)))
    assert (sharp == same).all()
    sharp, soft = (draw_moment(still, fast.at(1 / 25), around) for around in ((), moments_around(fast, 1 / 25)))
    def detail(x): return cv2.Laplacian(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[still.rect.y0:still.rect.y1].std()
    assert (sharp != soft).any() and detail(soft) < detail(sharp)

def test_a_dubbed_mouth_keeps_its_look(media):
    "No frame of a dub shows the painted inside once the clip has shown a mouth, and views change rarely"
    chooser, library, shown = Chooser(), Library(), []
    for f in read_frames(media/'clips'/'hdtf_aoc.mp4', end=3.):
        view = mouth_view(f, landmarks(f.image))
        if view is not None: library.add(view)
    opening = .12 + .1 * np.sin(np.arange(100) / 2.1)
    wanted = [Wanted(float(o), .75, 0.) for o in opening]
    for i in range(len(wanted)): shown.append(chooser(library, wanted[i:i + 26]))
    main = [max(s, key=lambda x: x[1])[0] for s in shown]
    assert all(v is not None for s in shown for v, _ in s)
    assert sum(a is not b for a, b in zip(main, main[1:])) <= 12
