"""What the mark in the pixels outlives, what it costs the picture, and its time beside that of an encoder.

    python bench/trust.py [--clips N] [--lines N ...] [--keep rows.jsonl]

Clips are brought to so many lines, marked, written as the kit writes them (H.264, crf 16) and encoded again. A row says in how many
of them all 32 bits were read; a score tells a mark from none (`trust.pixels.SURE`). Times are seconds of processor, as ratios.
With `--keep` each finished clip is a line of a file, so that a stopped run goes on where it was."""
import argparse, json, os, tempfile
from pathlib import Path
from time import process_time
import cv2, numpy as np
from lipsync_kit.media.animation import write_animation
from lipsync_kit.media.read import read_frames
from lipsync_kit.media.write import Writer
from lipsync_kit.trust.pixels import SURE, PixelMark, read_pixels
from lipsync_kit.trust.verify import pictures_of

cv2.setNumThreads(1)
MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).resolve().parent.parent.parent/'shared'/'media'))
CLIPS = ('hdtf_aoc hdtf_radio18 news_cnn_anchor actor_selfie congress_bald_man expressive_woman podium_woman portrait_kiosk_woman '
         'portrait_kitchen_man news_german_anchor').split()
BITS = 0xdecade00

def film_of(path, lines, n=40):
    "The first frames, so many lines high"
    res = []
    for f in read_frames(path):
        k = lines / min(f.image.shape[:2])
        size = tuple(round(s * k) // 2 * 2 for s in f.image.shape[1::-1])
        res.append(cv2.resize(f.image, size, interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC))
        if len(res) == n: return res
    return res

def written(path, images, crf=16):
    with Writer(path, *images[0].shape[1::-1], crf=crf) as w:
        for x in images: w.write(x)
    return path

def scaled(images, k): return [cv2.resize(x, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) for x in images]

def variants(folder, path):
    "Name -> pictures of what a platform, or a person, would make of a video"
    images = [f.image for f in read_frames(path)]
    h, w = images[0].shape[:2]
    def again(name, images, crf): return pictures_of(written(folder/f'{name}.mp4', images, crf))
    yield 'as written', pictures_of(path)
    yield 'crf 28', again('crf', images, 28)
    yield 'half size, crf 23', again('half', scaled(images, .5), 23)
    yield 'crop 10 % on all sides, crf 23', again('crop', [x[h // 10:-h // 10, w // 10:-w // 10] for x in images], 23)
    yield 'two thirds of the size, crf 23 (1080 to 720 lines)', again('two', scaled(images, 2 / 3), 23)
    yield 'GIF, 480 pixels', pictures_of(write_animation(path, folder/'a.gif'))
    shot = cv2.resize(images[len(images) // 2], None, fx=.83, fy=.83, interpolation=cv2.INTER_AREA)
    yield 'screenshot, one frame, PNG', [shot]
    yield 'screenshot, one frame, JPEG 75', [cv2.imdecode(cv2.imencode('.jpg', shot, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], 1)]
    yield 'half size, crf 28', again('poor', scaled(images, .5), 28)

def psnr(a, b): return 10 * np.log10(255**2 / ((a.astype(float) - b)**2).mean())

def clip_row(name, lines):
    "What was measured of one clip: decibels of its frames, the score where it was not marked, and whether and how well each variant was read"
    images = film_of(next(MEDIA.glob(f'clips/{name}.*')), lines)
    mark = PixelMark(BITS, *images[0].shape[1::-1])
    marked = [mark.on(x) for x in images]
    bare = read_pixels(images[::4])
    row = dict(clip=name, lines=lines, frames=len(images), psnr=[psnr(a, b) for a, b in zip(images, marked)],
               bare=bare and bare.score, variants={})
    with tempfile.TemporaryDirectory() as d:
        for what, pictures in variants(Path(d), written(Path(d)/'a.mp4', marked)):
            r = read_pixels(pictures)
            row['variants'][what] = [r is not None and r.bits == BITS, r and r.score]
    return row

def rows_of(clips, lines, keep):
    "One row a clip; those that an earlier, stopped run has left in the file `keep` are not measured again"
    lines_kept = keep.read_text().splitlines() if keep and keep.exists() else []
    known = {(r['clip'], r['lines']): r for r in map(json.loads, lines_kept)}
    for name in clips:
        row = known.get((name, lines))
        if row is None:
            row = clip_row(name, lines)
            if keep:
                with keep.open('a') as f: f.write(json.dumps(row) + '\n')
        print(f"  {name}: {sum(ok for ok, _ in row['variants'].values())} of {len(row['variants'])}", flush=True)
        yield row

def survival(clips, lines, keep=None):
    print(f'\n{lines} lines', flush=True)
    rows = list(rows_of(clips, lines, keep))
    quality = np.concatenate([r['psnr'] for r in rows])
    print(f"{len(rows)} clips: PSNR {quality.mean():.1f} dB, at least {quality.min():.1f}; "
          f"unmarked ones taken for marked: {sum(r['bare'] is not None for r in rows)}")
    for what in rows[0]['variants']:
        ok, scores = zip(*(r['variants'][what] for r in rows))
        s = [x for x in scores if x]
        print(f"  {what:52} {sum(ok)}/{len(ok)}" + (f'   score {np.mean(s):.0f}, at least {min(s):.0f} (limit {SURE:g})' if s else ''))

def cost(lines=720):
    images = film_of(next(MEDIA.glob('clips/news_cnn_anchor.*')), lines, 24)
    mark = PixelMark(BITS, *images[0].shape[1::-1])
    mark.on(images[0])
    t = process_time()
    for x in images: mark.on(x)
    own = process_time() - t
    with tempfile.TemporaryDirectory() as d:
        t = process_time()
        written(Path(d)/'a.mp4', images)
        encode = process_time() - t
    h, w = images[0].shape[:2]
    print(f'\nmarking a frame of {w}x{h}: {own / len(images) * 1e3:.1f} ms of processor, {own / encode:.2f} of the encoding')

if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('--clips', type=int, default=len(CLIPS))
    p.add_argument('--lines', type=int, nargs='+', default=[720, 1080, 512, 256], help='of the marked clips')
    p.add_argument('--keep', type=Path, help='a file of finished clips')
    a = p.parse_args()
    if not (MEDIA/'clips').is_dir(): raise SystemExit(f'no clips at {MEDIA}; set LIPSYNC_MEDIA')
    cost()
    for lines in a.lines: survival(CLIPS[:a.clips], lines, a.keep)
