"""First frame of a real clip + its own sound -> video -> tracked again, against the real clip and against what the track asked for.

    python bench/self_reenactment.py [folder with manifest.json] [folder of heads, one a person, fitted without that person]
Without such heads the shipped one is used, which has heard these people: then only 'asked against drawn' means anything."""
import json, os, sys, tempfile
from pathlib import Path
import numpy as np
from lipsync_kit import lipsync
from lipsync_kit.core import mouth_open
from lipsync_kit.faces.detect import closer, landmarks
from lipsync_kit.media import read_audio, read_frames

here = Path(__file__).resolve().parent.parent
media = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get('LIPSYNC_MEDIA', here.parent/'shared'/'media'))
heads = Path(sys.argv[2]) if len(sys.argv) > 2 else None

def tracked(path, end):
    "Times and apertures of a video, in image mode"
    face, res = None, []
    for f in read_frames(path, end=end):
        face = (closer(f.image, face.points) if face else None) or landmarks(f.image)
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

rows = []
for c in json.loads((media/'manifest.json').read_text())['clips']:
    sync = (c.get('sync') or {}).get('learned') or {}
    head = heads/f"{c['person']}.safetensors" if heads else None
    if c['subset'] != 'speaking' or sync.get('confidence') not in ('high', 'medium') or (heads and not head.exists()): continue
    path, end = media/c['file'], 8.
    first = next(read_frames(path)).image
    sound = read_audio(path).cut(0, min(end, c['duration']))
    with tempfile.TemporaryDirectory() as d:
        r = lipsync(first, sound, out=Path(d)/'a.mp4', motion_head=str(head) if heads else 'auto')
        t, drawn = tracked(r.path, end)
    real_t, real = tracked(path, end)
    asked = np.interp(t, r.motion.times, r.motion.mouth_open)
    as_real = agreement(t, drawn, real_t - sync['mouth_lag_ms'] / 1000, real)[0]
    as_asked, gain = agreement(t, asked, t, drawn)
    rows.append((as_real, as_asked, gain, lag(t, asked, t, drawn)))
    print(f"{c['name']:26} real {as_real:5.2f}   asked {as_asked:6.3f} gain {gain:5.2f} lag {1000*rows[-1][3]:4.0f} ms", flush=True)
m = np.mean(rows, 0)
print(f"mean of {len(rows)}: real {m[0]:.3f} (target 0.6), asked {m[1]:.3f} (0.97), gain {m[2]:.2f} (0.9..1.1), lag {1000*m[3]:.0f} ms" + ('' if heads else '; the shipped head has heard these people'))
