-- outside a transaction
-- A mask that rows wait with does not expire: found by this.
create index concurrently if not exists catalog_rows_masks on catalog_rows (catalog_id, mask_id)
    where state = 'waiting' and mask_id is not null;
