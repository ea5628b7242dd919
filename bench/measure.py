"What the benchmarks of drawn mouths share: tracking a video again and comparing curves over time"
import os
from pathlib import Path
import numpy as np
from lipsync_kit.core import mouth_open
from lipsync_kit.faces.detect import landmarks_near, landmarks
from lipsync_kit.media.read import read_frames

MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).resolve().parent.parent.parent/'shared'/'media'))

def tracked(path, end):
    "Times and apertures of a video, in image mode"
    face, res = None, []
    for f in read_frames(path, end=end):
        face = (landmarks_near(f.image, face.points) if face else None) or landmarks(f.image)
        res.append((float(f.time), float(mouth_open(face.points)) if face else np.nan))
    return np.array(res).T

def agreement(t, x, u, y):
    "Correlation of two curves of time where both are known"
    y = np.interp(t, u[np.isfinite(y)], y[np.isfinite(y)])
    ok = np.isfinite(x)
    return float(np.corrcoef(x[ok], y[ok])[0, 1]), float(np.polyfit(x[ok], y[ok], 1)[0])

def lag(t, x, u, y, most=.12):
    "Seconds by which y comes later than x"
    steps = np.arange(-most, most + .001, .01)
    return float(steps[np.argmax([agreement(t, x, u - s, y)[0] for s in steps])])
