"The portrait renderer on real pictures: nothing fails, nothing outside its rectangle changes, what is asked for is drawn."
import os
from pathlib import Path
import cv2, numpy as np, pytest
from skimage import data
from lipsync_kit.core import Face, mouth_open
from lipsync_kit.faces.detect import closer, landmarks
from lipsync_kit.media import read_image
from lipsync_kit.models.portrait.still import prepare

media = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).resolve().parents[2]/'shared/media'))/'portraits'
SPEAK = np.float32([1.5, .3, .3, 0, 0, 0])

@pytest.fixture(scope='module')
def astronaut():
    image = data.astronaut()
    return image, landmarks(image)

def outside(still):
    m = np.ones(still.image.shape[:2], bool); g = still.grid
    m[g.y0:g.y1, g.x0:g.x1] = False
    return m

def same(a, b, where): return not (a[where] != b[where]).any()

def scaled(image, face, k):
    small = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC)
    return small, Face((face.points * k).astype(np.float32), face.pose, face.blendshapes)

@pytest.mark.parametrize('path', sorted(media.glob('*')) if media.exists() else [pytest.param(None, marks=pytest.mark.skip(reason=f'no portraits in {media}'))], ids=lambda p: p and p.name)
def test_every_portrait(path):
    image = read_image(path).image
    k = min(1, 800 / max(image.shape[:2]))
    image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) if k < 1 else image
    face = landmarks(image)
    if face is None: pytest.skip('no face')
    still = prepare(image, face, gain=1.)
    out = still.draw(SPEAK, .15, blink=(.7, .7), head=(2, 3, -2), bite=.5)
    assert out.shape == image.shape and out.dtype == np.uint8
    assert same(out, image, outside(still))
    assert bool(still.warnings) == (abs(face.pose[1]) > 30)

def test_closed_mouth_leaves_the_rest(astronaut):
    image, face = astronaut
    out = prepare(image, face, gain=1.).draw(np.zeros(6), 0.)
    eyes = int(face.points[[33, 263], 1].mean())
    assert same(out, image, np.s_[:eyes])
    assert np.abs(out.astype(int) - image).mean() < 1.5

def test_asked_is_drawn(astronaut):
    pictures = [astronaut] + [(i, landmarks(i)) for i in (read_image(media/n).image for n in ('photo_woman_474.png', 'photo_woman_624.jpg') if media.exists())]
    for image, face in pictures:
        still, asked = prepare(image, face), np.array([0, .05, .1, .15, .2, .25])
        got = np.array([mouth_open(closer(still.draw(np.float32([a / .11, 0, 0, 0, 0, 0]), a), face.points).points) for a in asked])
        assert np.corrcoef(asked, got)[0, 1] > .97
        assert .8 < np.polyfit(asked, got, 1)[0] < 1.2

def test_same_every_time(astronaut):
    image, face = astronaut
    a, b = (prepare(image, face, gain=1.).draw(SPEAK, .12, blink=(.4, .4), head=(1, 2, 1)) for _ in range(2))
    assert same(a, b, np.s_[:])

@pytest.mark.parametrize('k', (.4, 5.))
def test_tiny_and_huge(astronaut, k):
    image, face = scaled(*astronaut, k)
    still = prepare(image, face, gain=1.)
    out = still.draw(SPEAK, .15, head=(1, 2, 0))
    assert same(out, image, outside(still)) and (out != image).any()
    assert same(still.draw(SPEAK, .15), image, np.s_[:int(still.geometry.points[10, 1])])   # above the forehead nothing is even read again

def test_grey_stays_grey(astronaut):
    image, face = astronaut
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    out = prepare(grey, face, gain=1.).draw(np.float32([2.5, 0, 0, 0, 0, 0]), .28, blink=(1, 1))
    assert np.ptp(out.astype(int), axis=-1).max() <= 4

def test_turned_away_is_said(astronaut):
    image, face = astronaut
    still = prepare(image, Face(face.points, (0., 38., 0.), face.blendshapes), gain=1.)
    assert '38 degrees' in still.warnings[0] and still.calm < 1

def test_bite_and_press_are_seen(astronaut):
    image, face = astronaut
    still = prepare(image, face, gain=1.)
    rest = still.draw(np.zeros(6), 0.).astype(int)
    assert np.abs(still.draw(np.zeros(6), 0., bite=1.) - rest).max() > 20
    assert np.abs(still.draw(np.zeros(6), 0., press=1.) - rest).max() > 5
