"What is asked for is what is drawn: an aperture is asked for frame by frame, the drawn frames are tracked again, and the two are compared on every portrait with a face."
import os, sys
from pathlib import Path
import numpy as np
from lipsync_kit.core import KitError, mouth_open
from lipsync_kit.faces.detect import landmarks_near, landmarks
from lipsync_kit.media.read import read_image
from lipsync_kit.models.portrait.still import prepare

media = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).resolve().parent.parent.parent/'shared/media'))
pictures = [Path(p) for p in sys.argv[1:]] or [Path(__file__).resolve().parent.parent/'lipsync_kit/data/astronaut.jpg', *sorted((media/'portraits').glob('photo_*')), *sorted((media/'portraits').glob('p*author*')), *sorted((media/'portraits').glob('man_*')), *sorted((media/'portraits').glob('*pearl*'))]

def speech(n=60, seed=0):
    "Lip scores and apertures that go like speech: openings of different heights with closures between them"
    rng, t = np.random.default_rng(seed), np.arange(n) / 25
    open_ = np.clip(.11 + .10 * np.sin(2 * np.pi * 3.1 * t) + .05 * np.sin(2 * np.pi * 1.3 * t + 1), 0, .3)
    lips = np.stack([open_ / .11, 1.2 * np.sin(2 * np.pi * 1.7 * t), .7 * np.sin(2 * np.pi * 2.3 * t + 2), .5 * np.sin(2 * np.pi * .9 * t), *(.3 * rng.normal(size=(2, 1)) * np.ones(n))], 1)
    return lips.astype(np.float32), open_.astype(np.float32)

def lag(a, b):
    "Frames by which `b` comes later than `a`, to a fraction"
    r = [np.corrcoef(a[max(0, -k):len(a) - max(0, k)], b[max(0, k):len(b) - max(0, -k)])[0, 1] for k in (-1, 0, 1)]
    return .5 * (r[0] - r[2]) / (r[0] - 2 * r[1] + r[2])

lips, asked = speech()
print(f'{"picture":28} {"iod":>5} {"curve":>8} {"r":>6} {"slope":>6} {"shut":>6} {"lag":>6} lost')
rows = []
for p in pictures:
    try: image = read_image(p).image
    except KitError: continue
    face = landmarks(image)
    if face is None: continue
    still = prepare(image, face)
    seen = [landmarks_near(still.draw(l, float(m)), face.points) for l, m in zip(lips, asked)]
    got = np.array([np.nan if f is None else mouth_open(f.points) for f in seen], np.float32)
    ok = np.isfinite(got); a, g = asked[ok], got[ok]
    rows.append((np.corrcoef(a, g)[0, 1], np.polyfit(a, g, 1)[0], g[a < .01].mean() if (a < .01).any() else np.nan, lag(a, g)))
    print(f'{p.name:28} {face.iod:5.0f} {still.curve[1][-1] / still.curve[0][-1]:8.2f} {rows[-1][0]:6.3f} {rows[-1][1]:6.2f} {rows[-1][2]:6.3f} {rows[-1][3]:6.2f} {np.sum(~ok)}', flush=True)
r = np.array(rows)
print(f'mean over {len(r)} pictures: r {r[:, 0].mean():.3f} (lowest {r[:, 0].min():.3f}), slope {r[:, 1].mean():.2f} ({r[:, 1].min():.2f} to {r[:, 1].max():.2f}), shut {np.nanmean(r[:, 2]):.3f} iod, lag {np.abs(r[:, 3]).max():.2f} frames at most')
