-- name: InsertReview :exec
insert into review (id, state, by_whom, note, started_at, read_at, due_at, compared_at, closed_at, closed_by)
values (@id, @state, @by_whom, '', @started_at, 0, @due_at, 0, 0, '');

-- name: LiveReview :one
select * from review where closed_at = 0;

-- name: ReviewByID :one
select * from review where id = @id;

-- LockReview keeps other writers of the review away until the transaction ends.
-- name: LockReview :one
update review set note = note where id = @id returning *;

-- name: Reviews :many
select * from review order by id desc limit @most;

-- name: SaveReview :exec
update review set state = @state, note = @note, read_at = @read_at, compared_at = @compared_at, closed_at = @closed_at, closed_by = @closed_by,
    trouble = @trouble, trouble_at = @trouble_at
where id = @id;

-- name: PutReviewItem :exec
insert into review_item (
    review_id, organization, address_key, address, name, person_id, connection, seat, reasons,
    decision, by_whom, because, decided_at, case_id, after, joined, note
) values (
    @review_id, @organization, @address_key, @address, @name, @person_id, @connection, @seat, @reasons,
    @decision, @by_whom, @because, @decided_at, @case_id, @after, @joined, @note
) on conflict (review_id, organization, address_key) do update set
    address = excluded.address, name = excluded.name, person_id = excluded.person_id, connection = excluded.connection,
    seat = excluded.seat, reasons = excluded.reasons, decision = excluded.decision, by_whom = excluded.by_whom, because = excluded.because,
    decided_at = excluded.decided_at, case_id = excluded.case_id, after = excluded.after, joined = excluded.joined, note = excluded.note;

-- PutReviewWord adds what a reviewer said; what is there already stays as it is.
-- name: PutReviewWord :exec
insert into review_word (review_id, organization, address_key, number, decision, by_whom, because, said_at)
values (@review_id, @organization, @address_key, @number, @decision, @by_whom, @because, @said_at)
on conflict (review_id, address_key, organization, number) do nothing;

-- name: ReviewWords :many
select * from review_word where review_id = @review_id order by address_key, organization, number;

-- name: ReviewWordsOf :many
select * from review_word where review_id = @review_id and address_key = @address_key order by organization, number;

-- name: ReviewItems :many
select * from review_item where review_id = @review_id order by organization, address_key;

-- name: ReviewItemsOf :many
select * from review_item where review_id = @review_id and address_key = @address_key order by organization;

-- name: ReviewCases :many
select * from cases where id in (select i.case_id from review_item i where i.review_id = @review_id and i.case_id <> '');

-- name: ReviewCasesOf :many
select * from cases where id in (
    select i.case_id from review_item i where i.review_id = @review_id and i.address_key = @address_key and i.case_id <> ''
);

-- name: CompareReviewItem :exec
update review_item set after = @after where review_id = @review_id and organization = @organization and address_key = @address_key;

-- CountReviewItems counts the seats of a review by what was decided and what
-- became of it. Those who joined meanwhile are not under review.
-- name: CountReviewItems :many
select i.decision,
    cast(case when i.reasons <> '[]' then 1 else 0 end as bigint) as striking,
    cast(case when i.case_id = '' or c.outcome = 'cancelled' then 1 else 0 end as bigint) as uncarried,
    cast(case when c.closed_at = 0 then 1 else 0 end as bigint) as live,
    count(*) as number
from review_item i left join cases c on c.id = i.case_id
where i.review_id = @review_id and i.joined = 0
group by 1, 2, 3, 4 order by 1, 2, 3, 4;

-- UnsettledItems are the decisions that take something away and have no case, or
-- one that was or is being cancelled.
-- name: UnsettledItems :many
select i.* from review_item i left join cases c on c.id = i.case_id
where i.review_id = @review_id and i.decision in ('remove', 'downgrade')
    and (i.case_id = '' or c.outcome = 'cancelled' or c.closed_at = 0 and c.ending = 'cancel')
order by i.organization, i.address_key;
