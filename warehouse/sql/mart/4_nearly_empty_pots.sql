-- A row is an open call whose money is given out until it is spent, of which a quarter or less was left when it was read.
CREATE VIEW mart.nearly_empty_pots AS
SELECT
    call_id, title, identifier, programme, level, remaining_budget_eur, budget_total_eur,
    round(remaining_budget_eur / budget_total_eur, 4) AS share_left,  -- 0 to 1, of what the source states
    last_seen_on AS read_on,               -- day on which that was read
    next_deadline, url
FROM mart.open_calls
WHERE (until_spent OR allocation = 'first come') AND remaining_budget_eur <= 0.25 * budget_total_eur
ORDER BY share_left, call_id;
