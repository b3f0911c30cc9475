"""The traps that lie in the three releases, and the tests that step into each of them.

A reader that globs for `*.nii.gz`, trusts file names, or believes headers falls into most of them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from datasets import acdc

TESTS = Path(__file__).resolve().parents[1]

TRAPS = {
    "1 ACDC: the 4D file and the citations lie beside the frames": (
        "datasets/test_acdc.py::test_the_4d_file_and_the_citations_are_no_cases",
        "datasets/phantom/test_full.py::test_acdc_has_its_testing_patients_and_no_loop_is_a_case",
    ),
    "2 ACDC: patient090 has no frame 01": (
        "datasets/test_acdc.py::test_patient090_has_no_frame_01",
    ),
    "3 ACDC: empty slices, portrait and landscape, few slices, unequal spacing": (
        "datasets/test_acdc.py::test_portrait_and_landscape_keep_their_shapes",
        "datasets/test_acdc.py::test_a_volume_of_one_slice_stays_a_volume",
        "datasets/phantom/test_layout.py::test_acdc_geometry_and_groups",
        "data/test_pipeline.py::test_image_smaller_than_the_patch_is_centred_in_zeros",
        "evaluation/test_inference.py::test_windows_cover_every_voxel_whatever_the_size",
    ),
    "4 ACDC: two top folders, and an archive that unzip takes for a bomb": (
        "datasets/test_acdc.py::test_every_top_folder_of_the_archives_is_found",
        "datasets/test_traps.py::test_the_instructions_name_the_switch_that_unzip_needs",
    ),
    "5 ACDC: the affine's direction is not the patient's": (
        "datasets/test_nifti.py::test_the_direction_of_the_affine_never_moves_a_pixel",
    ),
    "6 the same label means another structure in another dataset": (
        "datasets/test_acdc.py::test_labels_mean_what_acdc_says",
        "datasets/test_camus.py::test_labels_mean_what_camus_says",
        "datasets/test_nifti.py::test_a_mask_with_the_labels_of_another_dataset",
    ),
    "7 ACDC: packs of slices have lost the spacing": (
        "datasets/test_acdc.py::test_packs_of_slices_are_not_taken_for_the_release",
    ),
    "8 CAMUS: transposed pictures, with or without a third axis": (
        "datasets/test_camus.py::test_planar_images_come_upright_with_and_without_a_third_axis",
        "datasets/test_nifti.py::test_planar_images_have_two_axes_however_they_were_written",
    ),
    "9 CAMUS: half sequences lie beside the frames": (
        "datasets/test_camus.py::test_half_sequences_are_volumes_and_no_cases",
        "datasets/phantom/test_full.py::test_camus_half_sequences_run_from_ed_to_es",
    ),
    "10 CAMUS: ES may come before ED": ("datasets/test_camus.py::test_es_may_come_before_ed",),
    "11 CAMUS: four frames of one patient, and structures that the sector cuts": (
        "datasets/test_splits.py::test_no_patient_is_on_two_sides_and_none_is_lost",
        "datasets/test_splits.py::test_camus_official_is_the_lists",
        "datasets/test_camus.py::test_a_mask_may_lack_the_myocardium_or_a_cut_atrium",
    ),
    "12 Decathlon: AppleDouble files, and tests that are listed otherwise": (
        "datasets/test_decathlon.py::test_appledouble_files_are_no_cases",
        "datasets/test_decathlon.py::test_the_unlabelled_test_scans_are_no_cases",
    ),
    "13 Decathlon: headers of image and label differ in codes and types": (
        "datasets/test_nifti.py::test_codes_types_and_rounding_may_differ",
        "datasets/test_nifti.py::test_a_mask_that_says_nothing_of_its_position",
    ),
    "14 truncated files and pointers of Git LFS": (
        "datasets/test_nifti.py::test_each_is_called_what_it_is",
        "datasets/test_nifti.py::test_cut_short",
    ),
    "15 masks saved with grey levels": (
        "datasets/test_nifti.py::test_grey_levels_are_called_so",
        "datasets/test_nifti.py::test_other_values_are_refused",
    ),
    "16 names with spaces, mirrors under other names": (
        "datasets/test_decathlon.py::test_the_release_is_found_by_its_content",
    ),
    "17 folders that bear the files' names": (
        "datasets/test_acdc.py::test_folders_that_bear_the_files_names_are_looked_into",
        "datasets/test_acdc.py::test_a_folder_in_place_of_a_file_is_named",
    ),
}


def test_the_instructions_name_the_switch_that_unzip_needs():
    assert "UNZIP_DISABLE_ZIPBOMB_DETECTION=TRUE" in acdc.INFO.instructions


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_tests(trap):
    for test in TRAPS[trap]:
        path, name = test.split("::")
        assert re.search(rf"def {name}\(", (TESTS / path).read_text()), test


def test_there_are_seventeen():
    assert [int(trap.split()[0]) for trap in TRAPS] == list(range(1, 18))
