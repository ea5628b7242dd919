"""First frame of a real clip + its own sound -> video -> tracked again, against the real clip and against what the track asked for.

    python bench/self_reenactment.py [folder with manifest.json] [folder of heads, one a person, fitted without that person]
Without such heads the shipped one is used, which has heard these people: then only 'asked against drawn' means anything."""
import json, sys, tempfile
from pathlib import Path
import numpy as np
from lipsync_kit import lipsync
from lipsync_kit.media.read import read_audio, read_frames
from measure import MEDIA, agreement, lag, tracked

media = Path(sys.argv[1]) if len(sys.argv) > 1 else MEDIA
heads = Path(sys.argv[2]) if len(sys.argv) > 2 else None

rows = []
for c in json.loads((media/'manifest.json').read_text())['clips']:
    sync = (c.get('sync') or {}).get('learned') or {}
    head = heads/f"{c['person']}.safetensors" if heads else None
    if c['subset'] != 'speaking' or sync.get('confidence') not in ('high', 'medium') or (heads and not head.exists()): continue
    path, end = media/c['file'], 8.
    first = next(read_frames(path)).image
    sound = read_audio(path).cut(0, min(end, c['duration']))
    with tempfile.TemporaryDirectory() as d:
        r = lipsync(first, sound, out=Path(d)/'a.mp4', motion_model=str(head) if heads else 'auto')
        t, drawn = tracked(r.path, end)
    real_t, real = tracked(path, end)
    asked = np.interp(t, r.motion.times, r.motion.mouth_open)
    as_real = agreement(t, drawn, real_t - sync['mouth_lag_ms'] / 1000, real)[0]
    as_asked, gain = agreement(t, asked, t, drawn)
    rows.append((as_real, as_asked, gain, lag(t, asked, t, drawn)))
    print(f"{c['name']:26} real {as_real:5.2f}   asked {as_asked:6.3f} gain {gain:5.2f} lag {1000*rows[-1][3]:4.0f} ms", flush=True)
m = np.mean(rows, 0)
print(f"mean of {len(rows)}: real {m[0]:.3f} (target 0.6), asked {m[1]:.3f} (0.97), gain {m[2]:.2f} (0.9..1.1), lag {1000*m[3]:.0f} ms" + ('' if heads else '; the shipped head has heard these people'))
