-- name: EffectsOf :many
select * from effect where case_id = @case_id order by intended_at, key;

-- name: EffectByKey :one
select * from effect where key = @key;

-- name: InsertEffect :exec
insert into effect (key, case_id, step, object, state, response, epoch, intended_at, done_at)
values (@key, @case_id, @step, @object, 'intended', '', @epoch, @intended_at, 0);

-- name: FinishEffect :exec
update effect set state = 'done', response = @response, done_at = @done_at where key = @key and state = 'intended';

-- name: InsertReceipt :exec
insert into receipt (hash, case_id, effect_key, created_at, expires_at, used_at)
values (@hash, @case_id, @effect_key, @created_at, @expires_at, 0);

-- name: UseReceipt :one
update receipt set used_at = @now where hash = @hash and used_at = 0 and expires_at > @now
returning case_id, effect_key;

-- SpentReceipt forgets a receipt that is used or expired: what comes under it is told once.
-- name: SpentReceipt :one
delete from receipt where hash = @hash and (used_at > 0 or expires_at <= @now)
returning case_id, effect_key, used_at;

-- name: ClaimSeat :exec
insert into seat_claim (organization, address_key, case_id) values (@organization, @address_key, @case_id)
on conflict (organization, address_key) do nothing;

-- name: SeatClaimant :one
select s.case_id, cast(coalesce(c.closed_at, 1) as bigint) as closed_at, cast(coalesce(c.state, '') as text) as state
from seat_claim s left join cases c on c.id = s.case_id
where s.organization = @organization and s.address_key = @address_key;

-- name: TakeSeat :exec
update seat_claim set case_id = @case_id where organization = @organization and address_key = @address_key;

-- name: ReleaseSeats :exec
delete from seat_claim where case_id = @case_id;

-- name: AddressHolders :many
select distinct p.id, p.connection, p.active, p.removal, p.deleted_at, cast(min(a.since) as bigint) as since,
    cast(max(case when a.kind = 'seat' then 0 else 1 end) as bigint) as holds
from person_address a join person p on p.id = a.person_id
where a.value_key = @value_key and p.id <> @person_id and p.deleted_at = 0
group by p.id, p.connection, p.active, p.removal, p.deleted_at;

-- name: AccessMemberships :one
select count(*) from membership m join scim_group g on g.id = m.group_id
where m.person_id = @person_id and g.access_name <> '' and g.deleted_at = 0;

-- name: PersonForCase :one
select * from person where id = @id;

-- name: PeopleByAddress :many
select distinct p.* from person p join person_address a on a.person_id = p.id
where a.value_key = @value_key order by p.id;

-- name: BudgetLock :one
insert into budget (organization, throttled_until, asked) values (@organization, 0, '')
on conflict (organization) do update set organization = excluded.organization
returning throttled_until, throttled_at, asked;

-- name: BudgetUses :many
select share, at from budget_use where organization = @organization and at > @since order by at;

-- name: BudgetSpend :exec
insert into budget_use (id, organization, share, at) values (@id, @organization, @share, @at);

-- name: BudgetForget :exec
delete from budget_use where organization = @organization and at <= @until;

-- name: BudgetAhead :exec
update budget_use set at = @now where organization = @organization and at > @now;

-- name: BudgetAsked :exec
update budget set asked = @asked where organization = @organization;

-- name: BudgetThrottle :exec
update budget set throttled_at = @throttled_at, throttled_until = @throttled_until where organization = @organization;

-- name: ClaimSchedule :execrows
insert into schedule (name, next_due) values (@name, @next_due)
on conflict (name) do update set next_due = excluded.next_due where schedule.next_due <= @now;

-- name: PostponeSchedule :exec
update schedule set next_due = @next_due where name = @name;

-- name: LockPerson :one
update person set version = version where id = @id returning *;

-- name: SetRemoval :exec
update person set removal = @removal where id = @id;

-- name: SetShield :exec
update person set shield = @shield where id = @id;

-- name: CountBudgetUses :one
select count(*) from budget_use where organization = @organization and at > @since;
