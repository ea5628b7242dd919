"""What each face detector that is on this machine finds and costs: processor time, against MediaPipe in the same run

    python bench/detectors.py [pictures ...]"""
import sys
from pathlib import Path
import cv2, numpy as np
from skimage import data
from lipsync_kit.faces.detectors.compare import compare_detectors, detectors_table, loaded
from lipsync_kit.media.read import read_image

def pictures():
    "Public pictures: a portrait, small in a large frame, two of them, turned by 40 degrees"
    photo = data.astronaut()
    small = np.full((720, 1280, 3), 110, np.uint8); small[300:500, 700:900] = cv2.resize(photo[:300, 80:380], (200, 200), interpolation=cv2.INTER_AREA)
    two = np.concatenate([np.pad(cv2.resize(photo, (384, 384)), ((128, 0), (0, 0), (0, 0))), photo], 1)
    turned = cv2.warpAffine(photo, cv2.getRotationMatrix2D((226, 120), 40, 1), (512, 512), borderValue=(110,) * 3)
    return dict(portrait=photo, small=small, two=two, turned=turned)

def main():
    here, absent = loaded()
    rows = compare_detectors({Path(p).stem[:11]: read_image(p).image for p in sys.argv[1:]} or pictures(), here)
    print(detectors_table(rows, absent))
    base = {r.picture: r.ms for r in rows if r.detector == 'mediapipe'}
    for name in here:
        own = [r for r in rows if r.detector == name]
        print(f'{name}: {sum(r.found for r in own)} faces, {np.mean([r.ms / base[r.picture] for r in own]):.2f} times the cost of mediapipe')

if __name__ == '__main__': main()
