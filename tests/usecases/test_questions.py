from __future__ import annotations

import pytest

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.interfaces.worker.work import SCHEDULE
from regulars.questions.models import AnswerModel, Target
from regulars.segments.models import Segment
from regulars.segments.save import save_segment
from regulars.usecases.save_segment import evaluate_saved
from regulars.usecases.update_question_model import queue_refit, update_target_segments


@pytest.mark.django_db(transaction=True)
def test_nightly_job_updates_targets_and_refits_the_model(standard_setup):
    save_segment("Porto", "city:Porto", "measure")
    queue_refit()
    queue_refit()
    run_due()

    assert "questions.refit" in SCHEDULE
    assert [job.state for job in Job.objects.filter(kind="questions.refit")] == ["done"]
    assert AnswerModel.objects.get().why == "too_few_profiles"
    assert Target.objects.get().text == "city:Porto"


@pytest.mark.django_db(transaction=True)
def test_refit_without_customers_questions_and_segments_does_not_fail():
    queue_refit()
    run_due()

    assert [job.state for job in Job.objects.filter(kind="questions.refit")] == ["done"]
    assert AnswerModel.objects.get().why == "too_few_profiles"


def test_a_saved_segment_is_worth_asking_for_at_once_with_segments_in_it_spelled_out(standard_setup):
    evaluate_saved(save_segment("Porto", "city:Porto", "measure"))
    evaluate_saved(save_segment("Women of Porto", 'segment:"porto" AND gender:female', "measure"))
    Target.objects.filter(slug="porto").update(weight=3)
    update_target_segments()

    assert Target.objects.get(slug="women-of-porto").text == "city:Porto AND gender:female"
    assert Target.objects.get(slug="porto").weight == 3


def test_unreadable_segment_is_no_target_and_stops_no_other(standard_setup):
    Segment.objects.create(slug="broken", name="Broken", text='segment:"gone"', purpose_id="measure")
    evaluate_saved(save_segment("Porto", "city:Porto", "measure"))

    assert list(Target.objects.values_list("slug", flat=True)) == ["porto"]
