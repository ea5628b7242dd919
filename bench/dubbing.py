"""Real clips dubbed with somebody else's speech, and with silence: does the drawn mouth follow the track, and is the original's gone?"""
import tempfile
from pathlib import Path
import numpy as np
from lipsync_kit import lipsync
from lipsync_kit.media.read import read_audio
from measure import MEDIA, agreement, tracked

CLIPS = 'hdtf_aoc.mp4', 'news_cnn_anchor.mp4', 'grid_bbaf2n.mpg', 'podium_woman.mp4', 'congress_bald_man.mp4', 'portrait_kitchen_man.mp4'
SECONDS, rows = 3., []
speech, silence = read_audio(MEDIA/'speech'/'latentsync_1.wav').cut(0, SECONDS), (np.zeros(int(16000*SECONDS), np.float32), 16000)
for name in CLIPS:
    clip = MEDIA/'clips'/name
    with tempfile.TemporaryDirectory() as d:
        r = lipsync(clip, speech, out=Path(d)/'speech.mp4')
        t, drawn = tracked(r.path, SECONDS)
        shut = tracked(lipsync(clip, silence, out=Path(d)/'silence.mp4').path, SECONDS)[1]
    u, real = tracked(clip, SECONDS)
    r_asked, gain = agreement(t, np.interp(t, r.motion.times, r.motion.mouth_open), t, drawn)
    rows.append((r_asked, gain, np.nanmean(shut), np.nanstd(shut) / np.nanstd(real)))
    print(f'{name:26} asked {r_asked:.3f} gain {gain:.2f}   in silence: open {rows[-1][2]:.3f}, moves {rows[-1][3]:.0%} of the original', flush=True)
m = np.mean(rows, 0)
print(f'mean: asked {m[0]:.3f}, gain {m[1]:.2f}; in silence: open {m[2]:.3f}, moves {m[3]:.0%} of the original')
